//! UX views: how user interfaces show things to whom (drp-api.md 7A.15).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, Params, name_problem, object::object};

/// What a user interface shows to the users of some roles, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UxView {
    /// The key.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The roles that it is for.
    pub applicable_roles: Vec<String>,
    /// The picture at the top.
    pub branding_image: String,
    /// The tabs of what is done to many objects at once.
    pub bulk_tabs: Vec<String>,
    /// The columns of tables, by the id of the menu item.
    pub columns: BTreeMap<String, Vec<String>>,
    /// How machines are told apart; for old user interfaces.
    pub classifiers: Vec<Classifier>,
    /// The types whose objects cannot be edited.
    pub hide_edit_objects: Vec<String>,
    /// What is shown first.
    pub landing_page: String,
    /// What is shown of a machine.
    pub machine_fields: Vec<String>,
    /// The menu.
    pub menu: Vec<MenuGroup>,
    /// The params that are shown; none for all.
    pub params_restriction: Vec<String>,
    /// The profiles that are shown; none for all.
    pub profiles_restriction: Vec<String>,
    /// The stages that are shown; none for all.
    pub stages_restriction: Vec<String>,
    /// The tasks that are shown; none for all.
    pub tasks_restriction: Vec<String>,
    /// The workflows that are shown; none for all.
    pub workflows_restriction: Vec<String>,
    /// Kept for old user interfaces; not acted upon.
    pub airgap: bool,
    /// Kept for old user interfaces, who spell it so; not acted upon.
    pub show_activiation: bool,
    /// Parameters by name.
    pub params: Params,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// How a machine is told apart and what is done with it then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Classifier {
    /// True when further ones are tried after it.
    pub r#continue: bool,
    /// Its picture.
    pub icon: String,
    /// True when its title is not added to those before.
    pub no_append: bool,
    /// What its test is given.
    pub params: Params,
    /// What an empty field shows.
    pub placeholder: String,
    /// What the text must match.
    pub regex: String,
    /// The name of its test.
    pub test: String,
    /// Its title.
    pub title: String,
}

/// A part of the menu.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct MenuGroup {
    /// Its id.
    pub id: String,
    /// Its items, in order.
    pub items: Vec<MenuItem>,
    /// Its title.
    pub title: String,
}

/// An item of the menu.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct MenuItem {
    /// Its colour.
    pub color: String,
    /// The query of what it shows.
    pub filter: String,
    /// What that is grouped by.
    pub group_by: Vec<String>,
    /// The feature that it needs.
    pub has_flag: String,
    /// The type of object that it needs.
    pub has_object: String,
    /// Its picture.
    pub icon: String,
    /// Its id.
    pub id: String,
    /// The id of the item whose place it takes.
    pub overwrite: String,
    /// Its title.
    pub title: String,
    /// Where it leads.
    pub to: String,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Id", "ApplicableRoles", "LandingPage", "Description", "Bundle"],
    ..Kind::of::<UxView>("ux_views", "Id", "UX view")
};

object!(UxView, KIND, key = |view| view.id.clone(), params = params, problems = problems);

fn problems(view: &UxView) -> Vec<String> {
    name_problem(NameGrammar::Id, &view.id, &view.id).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn ux_view_keeps_all_members_and_has_an_id() {
        let members = json!({
            "Id": "floor", "Description": "for the hall", "Documentation": "Large.", "ApplicableRoles": ["reader"],
            "BrandingImage": "files/b.png", "BulkTabs": ["power"], "Columns": {"machines": ["Name", "Address"]},
            "Classifiers": [{"Continue": true, "Icon": "disk", "NoAppend": true, "Params": {"a": null},
                             "Placeholder": "any", "Regex": "^a", "Test": "name", "Title": "A"}],
            "HideEditObjects": ["users"], "LandingPage": "machines", "MachineFields": ["Name"],
            "Menu": [{"Id": "top", "Title": "Top", "Items": [{"Color": "red", "Filter": "Pool=lab", "GroupBy": ["Stage"],
                      "HasFlag": "x", "HasObject": "pools", "Icon": "box", "Id": "lab", "Overwrite": "old",
                      "Title": "Lab", "To": "/lab"}]}],
            "ParamsRestriction": ["p1"], "ProfilesRestriction": ["f1"], "StagesRestriction": ["s1"],
            "TasksRestriction": ["t1"], "WorkflowsRestriction": ["w1"], "Airgap": true, "ShowActiviation": true,
            "Params": {"a": null},
        });
        round_trip("ux_views", members);
        assert_eq!(problems(&UxView::default()), [": Invalid Name ``"]);
    }
}

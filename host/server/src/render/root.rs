//! The root object of templates (drp-api.md 10.2).

use std::{net::Ipv4Addr, sync::Arc};

use formwork_model::{BootEnv, Object as _, canonical_arch};
use formwork_template::{Arguments, CallError, Engine, Object, Value};
use serde_json::Value as Json;

use super::{environment::EnvView, machine::MachineView, members::Members, scene::Scene};

/// What the reference knows and this endpoint does not offer.
const NOT_OFFERED: &[&str] = &[
    "Repos",
    "MachineRepos",
    "InstallRepos",
    "SecureProvisionerURL",
    "SecureProvisionerHostURL",
    "GenerateProfileToken",
];

/// The dot of a template.
pub(super) struct Root(Arc<Scene>);

impl Root {
    /// Makes the dot of a render.
    pub(super) fn value(scene: &Arc<Scene>) -> Value {
        Value::object(Self(Arc::clone(scene)))
    }

    fn param(&self, name: &str) -> Result<Json, CallError> {
        self.0.param(name).ok_or_else(|| missing(name))
    }

    fn composed(&self, name: &str) -> Result<Value, CallError> {
        self.0.composed(name).as_ref().map(Value::from).ok_or_else(|| missing(name))
    }

    fn boot_params(&self, arch: &str, engine: &mut Engine<'_>) -> Result<Value, CallError> {
        let Some(env) = &self.0.about.env else { return Err("there is no boot environment here".into()) };
        let text = with_usual_marks(env, &env.for_arch(arch).boot_params)?;
        let dot = engine.root().clone();
        engine.render_text(&format!("{} BootParams", env.name), &text, dot).map(Value::from)
    }

    /// Answers the methods around parameters.
    fn call_params(
        &self,
        name: &str,
        args: Arguments<'_>,
        engine: &mut Engine<'_>,
    ) -> Result<Option<Value>, CallError> {
        let one = || args.count(1, 1).and_then(|args| args.text(0));
        Ok(Some(match name {
            "Param" => Value::from(&self.param(one()?)?),
            "ParamExists" => Value::from(self.0.param(one()?).is_some()),
            "ParamExpand" => {
                let (name, dot) = (one()?, engine.root().clone());
                let value = Value::from(&self.param(name)?);
                engine.expand(name, &value, &dot)?
            }
            "ParamAsJSON" => Value::from(self.param(one()?)?.to_string()),
            "ParamAsYAML" => {
                let value = self.param(one()?)?;
                Value::from(serde_saphyr::to_string(&value).map_err(|error| error.to_string())?)
            }
            "ParamCompose" | "ComposeParam" => self.composed(one()?)?,
            "ParamComposeExpand" => {
                let (name, dot) = (one()?, engine.root().clone());
                let value = self.composed(name)?;
                engine.expand(name, &value, &dot)?
            }
            _ => return Ok(None),
        }))
    }
}

fn missing(name: &str) -> CallError {
    format!("param `{name}` has no value and no default").into()
}

/// Returns a text with other marks around its actions as one with the usual ones.
fn with_usual_marks(env: &BootEnv, text: &str) -> Result<String, CallError> {
    if env.start_delimiter.is_empty() && env.end_delimiter.is_empty() {
        return Ok(text.to_owned());
    }
    if text.contains("{{") || text.contains("}}") {
        return Err("BootParams with delimiters of their own cannot hold two braces in a row".into());
    }
    let or = |mark: &str, usual: &str| if mark.is_empty() { usual.to_owned() } else { mark.to_owned() };
    let (start, end) = (or(&env.start_delimiter, "{{"), or(&env.end_delimiter, "}}"));
    Ok(text.replace(&start, "{{").replace(&end, "}}"))
}

impl Object for Root {
    fn type_name(&self) -> &str {
        "RenderData"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let (scene, about) = (&self.0, &self.0.about);
        Some(match name {
            "Machine" => {
                about.machine.as_ref().map(|machine| Value::object(MachineView::new(scene, machine))).into()
            }
            "Env" | "BootEnv" => about.env.as_ref().map(|env| Value::object(EnvView::new(scene, env))).into(),
            "Stage" => about.stage.as_ref().map(|stage| Members::value("Stage", stage.to_json())).into(),
            "Task" => about
                .task
                .as_ref()
                .map(|task| {
                    let mut json = task.to_json();
                    if let Some(members) = json.as_object_mut() {
                        members.insert(String::from("TargetOS"), Json::from(about.target_os.as_str()));
                    }
                    Members::value("Task", json)
                })
                .into(),
            "CurrentJob" | "Job" => about.job.as_ref().map(|job| Members::value("Job", job.to_json())).into(),
            "WorkOrder" => {
                about.order.as_ref().map(|order| Members::value("WorkOrder", order.to_json())).into()
            }
            "Template" => {
                let entry = about.entry.as_ref()?;
                Members::value("TemplateInfo", serde_json::to_value(entry.as_ref()).unwrap_or_default())
            }
            "Info" => Members::value("Info", scene.site.info()),
            "ProvisionerAddress" => Value::from(scene.site.address().to_string()),
            // Without a configured host name the address is the name.
            "ProvisionerURL" | "ProvisionerHostURL" => Value::from(scene.site.file_url()),
            "ApiURL" | "ApiHostURL" => Value::from(scene.site.api_url()),
            _ => return None,
        })
    }

    fn call(&self, name: &str, args: &[Value], engine: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let args = Arguments::new(args);
        let dot = engine.root().clone();
        Ok(Some(match name {
            "BootParams" => {
                args.count(0, 0)?;
                self.boot_params(self.0.arch(), engine)?
            }
            "BootParamsFor" => {
                let arch = args.count(1, 1)?.text(0)?;
                let known = canonical_arch(arch);
                let known = known.ok_or_else(|| format!("`{arch}` is not a supported architecture"))?;
                self.boot_params(known, engine)?
            }
            "StringExpand" => {
                Value::from(engine.render_text("StringExpand", args.count(1, 1)?.text(0)?, dot)?)
            }
            "ObjectExpand" => engine.expand("ObjectExpand", args.count(1, 1)?.value(0), &dot)?,
            "GenerateToken" => Value::from(self.0.token(false)),
            "GenerateInfiniteToken" => Value::from(self.0.token(true)),
            "ParseURL" => {
                let args = args.count(2, 2)?;
                Value::from(url_part(args.text(0)?, args.text(1)?)?)
            }
            "NetmaskToCIDR" => Value::from(prefix_length(args.count(1, 1)?.text(0)?)?),
            "CallTemplate" => {
                let args = args.count(2, 2)?;
                Value::from(engine.include(args.text(0)?, args.value(1).clone())?)
            }
            name if NOT_OFFERED.contains(&name) => {
                return Err(format!("`.{name}` is not offered by this endpoint").into());
            }
            _ => return self.call_params(name, args, engine),
        }))
    }
}

/// Returns a part of a URL: its scheme, its host with the port, or its path.
fn url_part(part: &str, url: &str) -> Result<String, CallError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(format!("`{url}` is not a URL").into());
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match part {
        "scheme" => Ok(scheme.to_owned()),
        "host" => Ok(host.rsplit('@').next().unwrap_or_default().to_owned()),
        "path" => Ok(path.to_owned()),
        _ => Err(format!("`{part}` is not one of scheme, host, path").into()),
    }
}

fn prefix_length(mask: &str) -> Result<i64, CallError> {
    let bits = mask.parse::<Ipv4Addr>().map(Ipv4Addr::to_bits);
    match bits {
        Ok(bits) if bits.leading_ones() == bits.count_ones() => Ok(i64::from(bits.count_ones())),
        _ => Err(format!("`{mask}` is not a network mask").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_taken_apart() {
        let url = "https://me:secret@boot.example:8443/a/b?c=d#e";
        assert_eq!(url_part("scheme", url).unwrap(), "https");
        assert_eq!(url_part("host", url).unwrap(), "boot.example:8443");
        assert_eq!(url_part("path", url).unwrap(), "/a/b");
        assert!(url_part("port", url).is_err() && url_part("host", "nothing").is_err());
    }

    #[test]
    fn mask_with_holes_has_no_length() {
        assert_eq!(prefix_length("255.255.254.0").unwrap(), 23);
        assert_eq!(prefix_length("0.0.0.0").unwrap(), 0);
        assert!(prefix_length("255.0.255.0").is_err() && prefix_length("24").is_err());
    }

    #[test]
    fn boot_params_with_other_marks_are_read_as_usual_ones() {
        let mut env = BootEnv { start_delimiter: String::from("[["), ..BootEnv::default() };
        env.end_delimiter = String::from("]]");
        assert_eq!(with_usual_marks(&env, "a=[[.X]]").unwrap(), "a={{.X}}");
        assert!(with_usual_marks(&env, "{{ [[.X]]").is_err());
    }
}

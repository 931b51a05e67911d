//! What is generated from `wit/`: the capabilities once, and each world on top of them.

#![expect(missing_docs, reason = "generated; the words are in the WIT files")]

/// Generates a world. All capabilities are at hand for it, and the folder of its own package.
macro_rules! world {
    ($(#[$doc:meta])* $visibility:vis $name:ident, $world:literal, [$($folder:literal)?], $($options:tt)*) => {
        $(#[$doc])*
        $visibility mod $name {
            wit_bindgen::generate!({
                path: [
                    "../../wit/log-0.1",
                    "../../wit/params-0.2",
                    "../../wit/machine-0.1",
                    "../../wit/http-0.1",
                    "../../wit/kv-0.1",
                    "../../wit/files-0.2",
                    "../../wit/exec-0.1",
                    "../../wit/progress-0.1",
                    "../../wit/secrets-0.1",
                    "../../wit/clock-0.1",
                    "../../wit/random-0.1",
                    $($folder,)?
                ],
                world: $world,
                generate_all,
                pub_export_macro: true,
                export_macro_name: "export_world",
                $($options)*
            });
        }
    };
}

world! {
    /// The capabilities. Those that a component does not call are left out of it by the linker.
    pub(crate) capabilities, "formwork:sdk/capabilities", [],
    inline: "
        package formwork:sdk;
        world capabilities {
            import formwork:log/log@0.1.0;
            import formwork:params/params@0.2.0;
            import formwork:machine/machine@0.1.0;
            import formwork:http/http@0.1.0;
            import formwork:kv/kv@0.1.0;
            import formwork:files/files@0.2.0;
            import formwork:exec/exec@0.1.0;
            import formwork:progress/progress@0.1.0;
            import formwork:secrets/secrets@0.1.0;
            import formwork:clock/clock@0.1.0;
            import formwork:random/random@0.1.0;
        }
    ",
    generate_unused_types: true,
    additional_derives: [PartialEq],
}

world! {
    /// The world of tasks.
    pub task_world, "formwork:task/task-component@0.2.0", ["../../wit/task-0.2"],
    with: { "formwork:machine/machine@0.1.0": super::capabilities::formwork::machine::machine },
}

world! {
    /// The world of workflows.
    pub workflow_world, "formwork:workflow/workflow-component@0.1.0", ["../../wit/workflow-0.1"],
}

world! {
    /// The world of migration policies.
    pub policy_world, "formwork:migration-policy/migration-policy-component@0.1.0", ["../../wit/migration-policy-0.1"],
    additional_derives: [PartialEq],
}

world! {
    /// The world of upgrade steps.
    pub step_world, "formwork:upgrade-step/upgrade-step-component@0.1.0", ["../../wit/upgrade-step-0.1"],
    additional_derives: [PartialEq],
}

world! {
    /// The world of plugins.
    pub plugin_world, "formwork:plugin/plugin-component@0.1.0", ["../../wit/plugin-0.1"],
}

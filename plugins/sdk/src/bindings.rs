//! What is generated from `wit/`: the capabilities once, and each world on top of them.

#![expect(missing_docs, reason = "generated; the words are in the WIT files")]

/// The capabilities. Those that a component does not call are left out of it by the linker.
pub(crate) mod capabilities {
    wit_bindgen::generate!({
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
        ],
        world: "formwork:sdk/capabilities",
        generate_all,
        generate_unused_types: true,
    });
}

/// The world of tasks.
pub mod task_world {
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
            "../../wit/task-0.2",
        ],
        world: "formwork:task/task-component@0.2.0",
        with: {
            "formwork:log/log@0.1.0": super::capabilities::formwork::log::log,
            "formwork:params/params@0.2.0": super::capabilities::formwork::params::params,
            "formwork:machine/machine@0.1.0": super::capabilities::formwork::machine::machine,
            "formwork:http/http@0.1.0": super::capabilities::formwork::http::http,
            "formwork:kv/kv@0.1.0": super::capabilities::formwork::kv::kv,
            "formwork:files/files@0.2.0": super::capabilities::formwork::files::files,
            "formwork:exec/exec@0.1.0": super::capabilities::formwork::exec::exec,
            "formwork:progress/progress@0.1.0": super::capabilities::formwork::progress::progress,
            "formwork:secrets/secrets@0.1.0": super::capabilities::formwork::secrets::secrets,
            "formwork:clock/clock@0.1.0": super::capabilities::formwork::clock::clock,
            "formwork:random/random@0.1.0": super::capabilities::formwork::random::random,
        },
        pub_export_macro: true,
        export_macro_name: "export_world",
    });
}

/// The world of workflows.
pub mod workflow_world {
    wit_bindgen::generate!({
        path: ["../../wit/log-0.1", "../../wit/workflow-0.1"],
        world: "formwork:workflow/workflow-component@0.1.0",
        with: { "formwork:log/log@0.1.0": super::capabilities::formwork::log::log },
        pub_export_macro: true,
        export_macro_name: "export_world",
    });
}

/// The world of migration policies.
pub mod policy_world {
    wit_bindgen::generate!({
        path: ["../../wit/log-0.1", "../../wit/migration-policy-0.1"],
        world: "formwork:migration-policy/migration-policy-component@0.1.0",
        with: { "formwork:log/log@0.1.0": super::capabilities::formwork::log::log },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_world",
    });
}

/// The world of upgrade steps.
pub mod step_world {
    wit_bindgen::generate!({
        path: ["../../wit/log-0.1", "../../wit/upgrade-step-0.1"],
        world: "formwork:upgrade-step/upgrade-step-component@0.1.0",
        with: { "formwork:log/log@0.1.0": super::capabilities::formwork::log::log },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_world",
    });
}

/// The world of plugins.
pub mod plugin_world {
    wit_bindgen::generate!({
        path: [
            "../../wit/log-0.1",
            "../../wit/params-0.2",
            "../../wit/http-0.1",
            "../../wit/kv-0.1",
            "../../wit/files-0.2",
            "../../wit/progress-0.1",
            "../../wit/secrets-0.1",
            "../../wit/clock-0.1",
            "../../wit/random-0.1",
            "../../wit/plugin-0.1",
        ],
        world: "formwork:plugin/plugin-component@0.1.0",
        with: {
            "formwork:log/log@0.1.0": super::capabilities::formwork::log::log,
            "formwork:params/params@0.2.0": super::capabilities::formwork::params::params,
            "formwork:http/http@0.1.0": super::capabilities::formwork::http::http,
            "formwork:kv/kv@0.1.0": super::capabilities::formwork::kv::kv,
            "formwork:files/files@0.2.0": super::capabilities::formwork::files::files,
            "formwork:progress/progress@0.1.0": super::capabilities::formwork::progress::progress,
            "formwork:secrets/secrets@0.1.0": super::capabilities::formwork::secrets::secrets,
            "formwork:clock/clock@0.1.0": super::capabilities::formwork::clock::clock,
            "formwork:random/random@0.1.0": super::capabilities::formwork::random::random,
        },
        pub_export_macro: true,
        export_macro_name: "export_world",
    });
}

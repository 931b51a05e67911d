//! What is generated from `wit/`: the capabilities once, and each world on top of them.

#![expect(missing_docs, reason = "generated; the words are in the WIT files")]

/// The capabilities. Those that a component does not call are left out of it by the linker.
pub(crate) mod capabilities {
    wit_bindgen::generate!({
        inline: "
            package formwork:sdk;
            world capabilities {
                import formwork:log/log@0.1.0;
                import formwork:params/params@0.1.0;
                import formwork:files/files@0.1.0;
                import formwork:machine/machine@0.1.0;
            }
        ",
        path: ["../../wit/log-0.1", "../../wit/params-0.1", "../../wit/files-0.1", "../../wit/machine-0.1"],
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
            "../../wit/params-0.1",
            "../../wit/files-0.1",
            "../../wit/machine-0.1",
            "../../wit/task-0.1",
        ],
        world: "formwork:task/task-component@0.1.0",
        with: {
            "formwork:log/log@0.1.0": super::capabilities::formwork::log::log,
            "formwork:params/params@0.1.0": super::capabilities::formwork::params::params,
            "formwork:files/files@0.1.0": super::capabilities::formwork::files::files,
            "formwork:machine/machine@0.1.0": super::capabilities::formwork::machine::machine,
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

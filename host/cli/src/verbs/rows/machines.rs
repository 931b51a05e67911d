//! Verbs of machines, and of what else has tasks of its own.

use super::super::{
    Flag,
    Http::*,
    On, Verb,
    actions::{nothing, operations, words},
    machines,
};

/// What has tasks, profiles and jobs of its own.
const MACHINES: On = On::Only(&["machines", "clusters", "resource_brokers"]);

/// Machines only.
const MACHINE: On = On::Only(&["machines"]);

/// What is a group of machines.
const GROUPS: On = On::Only(&["clusters", "resource_brokers"]);

/// Verbs of machines.
pub(super) const ROWS: &[Verb] = &[
    Verb::edit(
        MACHINES,
        "workflow",
        "ID NAME",
        machines::workflow,
        "Puts a machine into a workflow; an empty name takes it out of any",
    ),
    Verb::edit(MACHINES, "stage", "ID NAME", machines::stage, "Puts a machine into a stage"),
    Verb::edit(MACHINES, "bootenv", "ID NAME", machines::bootenv, "Gives a machine a boot environment"),
    Verb::edit(
        MACHINES,
        "run",
        "ID",
        machines::runnable,
        "Makes a machine runnable, so that its agent goes on",
    ),
    Verb::edit(
        MACHINES,
        "pause",
        "ID",
        machines::paused,
        "Makes a machine not runnable; a running job goes on to its end",
    ),
    Verb::edit(
        On::Only(&["machines", "clusters", "resource_brokers", "stages"]),
        "addprofile",
        "ID PROFILE...",
        machines::add_profiles,
        "Adds profiles",
    ),
    Verb::edit(
        On::Only(&["machines", "clusters", "resource_brokers", "stages"]),
        "removeprofile",
        "ID PROFILE...",
        machines::remove_profiles,
        "Takes profiles away",
    ),
    Verb::edit(
        On::Only(&["machines", "clusters", "resource_brokers", "stages"]),
        "addtask",
        "ID TASK...",
        machines::add_tasks,
        "Appends entries to the task list",
    ),
    Verb::edit(
        MACHINES,
        "inserttask",
        "ID TASK [OFFSET]",
        machines::insert_task,
        "Puts a task so many places behind the current one [default: 0]",
    ),
    Verb::edit(
        On::Only(&["machines", "clusters", "resource_brokers", "stages"]),
        "removetask",
        "ID TASK...",
        machines::remove_tasks,
        "Removes tasks that have not begun",
    ),
    Verb::own(
        MACHINES,
        "tasks",
        "ID",
        |given, context| Box::pin(machines::tasks(given, context)),
        "Shows the task list and where it stands",
    ),
    Verb::edit(
        MACHINES,
        "tasks add",
        "ID TASK...",
        machines::tasks_add,
        "Adds tasks: at the end, or `at OFFSET` behind the current one",
    ),
    Verb::edit(
        MACHINES,
        "tasks del",
        "ID TASK...",
        machines::remove_tasks,
        "Removes tasks that have not begun",
    ),
    Verb::own(
        MACHINES,
        "jobs",
        "ID",
        |given, context| Box::pin(machines::jobs(given, context)),
        "Lists the jobs of a machine, oldest first",
    ),
    Verb::own(
        MACHINES,
        "jobs create",
        "ID",
        |given, context| Box::pin(machines::create_job(given, context)),
        "Makes the next job of a machine, as its agent does",
    ),
    Verb::own(
        MACHINES,
        "jobs current",
        "ID",
        |given, context| Box::pin(machines::current_job(given, context)),
        "Shows the current job",
    ),
    Verb::own(
        MACHINES,
        "jobs state",
        "ID to STATE",
        |given, context| Box::pin(machines::job_state(given, context)),
        "Sets the state of the current job",
    ),
    Verb::own(
        MACHINES,
        "inspect tasks",
        "ID",
        |given, context| Box::pin(machines::tasks(given, context)),
        "Shows the task list and where it stands",
    ),
    Verb::own(
        MACHINES,
        "inspect jobs",
        "ID",
        |given, context| Box::pin(machines::jobs(given, context)),
        "Lists the jobs of a machine, oldest first",
    ),
    Verb::own(
        MACHINES,
        "currentlog",
        "ID",
        |given, context| Box::pin(machines::current_log(given, context)),
        "Shows the log of the current job",
    ),
    Verb::own(
        MACHINES,
        "deletejobs",
        "ID",
        |given, context| Box::pin(machines::delete_jobs(given, context)),
        "Removes all jobs of a machine but the current one",
    ),
    Verb::own(
        MACHINES,
        "token",
        "ID [PAIR...]",
        |given, context| Box::pin(machines::token(given, context)),
        "Shows a token with the rights of the machine's agent: ttl TIME",
    )
    .flags(&[Flag::own("ttl", Some("TIME"), "How long it lives [default: 1h]")]),
    Verb::own(
        MACHINE,
        "processjobs",
        "[ID]",
        |given, context| Box::pin(machines::process_jobs(given, context)),
        "Runs the jobs of a machine here, as its agent",
    )
    .flags(&[
        Flag::own("oneshot", None, "End when nothing is left to do"),
        Flag::own("exit-on-failure", None, "End when a job failed"),
        Flag::own("skip-power", None, "End instead of rebooting or powering off"),
        Flag::own("state-dir", Some("DIR"), "The folder for state and job files"),
        Flag::own("context", Some("NAME"), "The context whose jobs are run [RS_CONTEXT]"),
    ]),
    Verb::own(
        MACHINE,
        "whoami",
        "",
        |given, context| Box::pin(super::super::local::whoami(given, context)),
        "Asks which machine this computer is",
    ),
    Verb::own(
        MACHINE,
        "plan",
        "ID",
        |given, context| Box::pin(machines::plan(given, context)),
        "Shows what a workflow or a stage would do, step by step; nothing is written",
    )
    .flags(&[
        Flag::own("workflow", Some("NAME"), "With this workflow"),
        Flag::own("stage", Some("NAME"), "With this stage"),
    ]),
    Verb::ask(
        MACHINES,
        "releaseToPool",
        "ID",
        (Post, "{type}/{ID}/releaseToPool"),
        "Gives a machine back to its pool",
    )
    .body(nothing),
    Verb::ask(
        MACHINES,
        "cleanup",
        "ID",
        (Delete, "{type}/{ID}/cleanup"),
        "Runs what is to be done before a machine goes, then removes it",
    ),
    Verb::ask(
        MACHINES,
        "start",
        "ID [JSON]",
        (Patch, "{type}/{ID}/start"),
        "Clears the task list, applies a JSON patch and starts again",
    )
    .body(operations),
    Verb::ask(
        MACHINES,
        "render",
        "ID TEXT",
        (Post, "{type}/{ID}/render"),
        "Renders a template for a machine",
    )
    .body(words),
    Verb::ask(
        MACHINES,
        "connections",
        "ID",
        (Get, "{type}/{ID}/connections"),
        "Lists the connections of a machine's agent",
    ),
    Verb::ask(
        MACHINE,
        "pick",
        "ID WORKORDER",
        (Post, "machines/{ID}/pick/{WORKORDER}"),
        "Has a machine take a work order",
    )
    .body(nothing),
    Verb::ask(
        MACHINE,
        "pipeline-execution",
        "ID [PIPELINE]",
        (Get, "machines/{ID}/pipeline-execution/{PIPELINE?}"),
        "Shows how pipelines ran on a machine",
    ),
    Verb::ask(
        GROUPS,
        "group params",
        "ID [JSON]",
        (Get, "{type}/{ID}/group/params"),
        "Shows the params of the group",
    ),
    Verb::ask(
        GROUPS,
        "group get",
        "ID param KEY",
        (Get, "{type}/{ID}/group/params/{KEY/}"),
        "Shows a param of the group",
    ),
    Verb::ask(
        GROUPS,
        "group set",
        "ID param KEY to VALUE",
        (Post, "{type}/{ID}/group/params/{KEY/}"),
        "Sets a param of the group",
    )
    .body(|given| given.value("VALUE")),
    Verb::ask(
        GROUPS,
        "group remove",
        "ID param KEY",
        (Delete, "{type}/{ID}/group/params/{KEY/}"),
        "Removes a param of the group",
    ),
];

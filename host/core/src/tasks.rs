//! The entries of a task list (drp-behaviour.md 3.2).

/// One entry of a task list, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// Run a task.
    Task(&'a str),
    /// Enter a stage.
    Stage(&'a str),
    /// Change the boot environment.
    BootEnv(&'a str),
    /// Go on in another context; empty means the machine itself.
    Context(&'a str),
    /// The agent changes its root folder.
    Chroot(&'a str),
    /// A plugin acts on the machine.
    Action(&'a str),
}

impl<'a> Entry<'a> {
    /// Reads an entry; a prefix that is not known makes it a task, which then does not exist.
    pub(crate) fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            Some(("stage", name)) => Self::Stage(name),
            Some(("bootenv", name)) => Self::BootEnv(name),
            Some(("context", name)) => Self::Context(name),
            Some(("chroot", folder)) => Self::Chroot(folder),
            Some(("action", action)) => Self::Action(action),
            _ => Self::Task(text),
        }
    }

    /// Tells whether the server consumes the entry by itself.
    pub(crate) fn rolls_forward(self) -> bool {
        matches!(self, Self::Stage(_) | Self::BootEnv(_) | Self::Context(_))
    }
}

/// Reads `action:COMMAND` and `action:PLUGIN:COMMAND`: the plugin, if one is named, and the command. Returns `None` for
/// every other entry.
#[must_use]
pub fn action_entry(text: &str) -> Option<(Option<&str>, &str)> {
    let Entry::Action(action) = Entry::parse(text) else { return None };
    Some(action.split_once(':').map_or((None, action), |(plugin, command)| (Some(plugin), command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_of_an_action_may_be_left_out() {
        assert_eq!(action_entry("action:jump"), Some((None, "jump")));
        assert_eq!(action_entry("action:frog:jump"), Some((Some("frog"), "jump")));
        assert_eq!(action_entry("jump"), None);
        assert_eq!(action_entry("stage:jump"), None);
    }
}

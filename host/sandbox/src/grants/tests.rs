//! The grammar of grants, and what each covers.

use super::*;

#[test]
fn lines_become_grants_and_lines_again() {
    let lines = [
        "params: read greet/*",
        "params: write inventory/*",
        "http: https://bmc.example/*",
        "kv: rw",
        "files: /proc ro",
        "files: isos rw",
        "exec: lshw",
        "exec: /usr/sbin/dmidecode",
        "secrets: ipmi/password",
        "clock",
    ];
    let grants = Grants::parse(lines).unwrap();
    assert!(grants.may_read("greet/name") && !grants.may_read("inventory/cpu"));
    assert!(grants.may_write("inventory/cpu") && !grants.may_write("greet/name"));
    assert!(grants.may_run("lshw") && !grants.may_run("/bin/lshw"));
    assert!(grants.may_know("ipmi/password") && !grants.may_know("ipmi/passwords"));
    assert_eq!(grants.lines(), lines);
}

#[test]
fn what_is_not_understood_is_refused() {
    for line in [
        "params",
        "params: own x",
        "files: proc",
        "files: /proc rwx",
        "files: a/../b ro",
        "files: a/b ro",
        "kv: all",
        "exec: ./lshw",
        "exec: lshw -json",
        "secrets:",
        "clock: all",
        "network: all",
    ] {
        assert_eq!(Grants::parse([line]).unwrap_err().line, line);
    }
}

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, name) in [
        ("inventory/*", "inventory/cpu"),
        ("inventory/*", "inventory/nics/0"),
        ("*", "x"),
        ("a*c*e", "abcde"),
        ("a*", "a"),
        ("greet/name", "greet/name"),
        ("*a*a", "aa"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("inventory/*", "inventory"),
        ("greet/name", "greet/names"),
        ("greet/name", "greet/nam"),
        ("a*c", "ab"),
        ("*a*a", "a"),
        ("ab*b", "ab"),
        ("", "x"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

#[test]
fn a_path_is_covered_only_below_its_root() {
    let grants = Grants::parse(["files: /sys/class ro", "files: isos ro"]).unwrap();
    assert_eq!(grants.root("/sys/class/net/a").unwrap().1, "net/a");
    assert_eq!(grants.root("/sys/class").unwrap().1, "");
    assert_eq!(grants.root("isos/a.iso").unwrap().1, "a.iso");
    for path in [
        "/sys",
        "/sys/classy",
        "/sys/class/../x",
        "sys/class",
        "/sys/class//net",
        "/sys/class/./net",
        "/isos/a.iso",
        "isosa",
        "",
        "/",
    ] {
        assert!(grants.root(path).is_none(), "{path}");
    }
    assert_eq!(Grants::parse(["files: / ro"]).unwrap().root("/etc/x").unwrap().1, "etc/x");
}

#[test]
fn the_longest_root_wins() {
    let grants = Grants::parse(["files: /a rw", "files: /a/b ro"]).unwrap();
    assert_eq!(grants.root("/a/b/c").unwrap().0, &FilesGrant::read_only("/a/b"));
}

#[test]
fn nothing_but_what_needs_no_grant_is_allowed_by_default() {
    let grants = Grants::default();
    let allowed: Vec<_> = Capability::ALL.into_iter().filter(|&one| grants.allows(one)).collect();
    use Capability::{Clock, Log, Machine, Progress, Random};
    assert_eq!(allowed, [Log, Progress, Clock, Random, Machine]);
    assert!(!grants.may_read("a") && !grants.may_write("a") && !grants.may_know("a") && !grants.may_run("a"));
}

#[test]
fn only_what_is_wider_than_before_is_told() {
    let old = Grants::parse([
        "params: read inventory/*",
        "params: write greet/message",
        "kv: rw",
        "files: /sys ro",
        "http: https://bmc.example/*",
        "exec: lshw",
    ])
    .unwrap();
    let new = Grants::parse([
        "params: read inventory/cpu",
        "params: read greet/*",
        "params: write greet/message",
        "kv: ro",
        "files: /sys/class ro",
        "files: /sys/fs rw",
        "http: https://bmc.example/redfish/*",
        "http: http://bmc.example/redfish/*",
        "exec: lshw",
        "exec: reboot",
        "clock",
    ])
    .unwrap();
    let wider =
        ["params: read greet/*", "http: http://bmc.example/redfish/*", "files: /sys/fs rw", "exec: reboot"];
    assert_eq!(new.difference(&old), wider);
    assert_eq!(new.difference(&new), [""; 0]);
    assert_eq!(Grants::parse(["kv: ro"]).unwrap().difference(&Grants::default()), ["kv: ro"]);
    assert_eq!(Grants::parse(["params: read *"]).unwrap().difference(&old), ["params: read *"]);
}

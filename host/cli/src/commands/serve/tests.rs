use formwork_sandbox::Limits;
use formwork_server::{Port, ServeOptions};

use super::{
    flags::{component_limits, dhcp_subnet},
    *,
};

#[test]
fn limits_of_the_site_are_named_and_checked() {
    let limits = component_limits(&["fuel=7".into(), "wall-time-ms=9".into()]).unwrap();
    let expected = Limits { fuel: 7, wall_time: std::time::Duration::from_millis(9), ..Limits::site() };
    assert_eq!(limits, expected);
    for (argument, word) in [("fuel", "NAME=NUMBER"), ("fuel=x", "NAME=NUMBER"), ("speed=1", "no such limit")]
    {
        let error = component_limits(&[argument.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

fn parse(line: &str, named: bool) -> Result<ServeOptions> {
    let matches = super::super::command(named).try_get_matches_from(line.split_whitespace())?;
    let (_, matches) = matches.subcommand().unwrap();
    options(ServeArgs::from_arg_matches(matches)?, named)
}

#[test]
fn flags_of_the_clients_own_tests_are_understood() {
    let line = "dr-provision --base-root /b --tls-key server.key --tls-cert server.crt --api-port 1 \
                --static-port 2 --tftp-port 3 --dhcp-port 4 --binl-port 5 --metrics-port 6 \
                --static-secure-port 7 --fake-pinger --drp-id Fred --plugin-comm-root /c --backend memory:///";
    let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let line =
        arguments_of_server(line).iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
    let options = parse(&line, true).unwrap();
    assert_eq!((options.api_port, options.static_port, options.tftp_port, options.dhcp_port), (1, 2, 3, 4));
    assert_eq!(options.tls_key, Path::new("/b/server.key"));
    assert_eq!((options.memory, options.id.as_deref()), (true, Some("Fred")));
    assert_eq!(options.first_user, Some(("rocketskates".to_owned(), "r0cketsk8ts".to_owned())));
}

#[test]
fn every_flag_has_its_variable() {
    let without: Vec<String> = command(false)
        .get_arguments()
        .filter(|argument| argument.get_env().is_none())
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    // These say what this one start does, or are a matter of trust that no surroundings should decide.
    assert_eq!(without, ["tls-ciphers-available", "allow-unsigned", "component-limit"]);
}

#[test]
fn flags_of_dr_provision_do_what_they_say() {
    let parsed = |flags: &str| parse(&format!("formwork serve --base-root /b {flags}"), false);
    let options = parsed(
        "--static-secure-port 7 --metrics-port 0 --tls-min-version tls1.3 --data-root data --ha-id set \
         --ui-url http://ui --start-runner --static-tls-cert c --static-tls-key k \
         --tls-cipher-list TLS_AES_128_GCM_SHA256",
    )
    .unwrap();
    assert_eq!(options.static_secure_port, Port { number: 7, is_asked_for: true });
    assert_eq!(options.metrics_port, Port { number: 0, is_asked_for: true });
    assert!(options.tls.only_1_3 && options.create_self);
    assert_eq!(options.tls.ciphers, ["TLS_AES_128_GCM_SHA256"]);
    assert_eq!(options.data_root, Path::new("/b/data"));
    assert_eq!((options.ha_id.as_deref(), options.ui_url.as_deref()), (Some("set"), Some("http://ui")));
    assert_eq!(options.static_tls, Some(("/b/c".into(), "/b/k".into())));
    assert_eq!(parsed("").unwrap().metrics_port, Port::usual(8080));
    for (backend, in_memory) in [("memory:///", true), ("directory:///", false), ("file:///", false)] {
        assert_eq!(parsed(&format!("--backend {backend}")).unwrap().memory, in_memory, "{backend}");
    }
    for (flags, words) in [
        ("--ha-enabled", "cannot be one of several hosts yet"),
        ("--ha-join x", "cannot be one of several hosts yet"),
        ("--local-ui x", "serves no user interface"),
        ("--tls-min-version 1.1", "only TLS 1.2 and 1.3"),
        ("--backend etcd:///", "known are directory:///, file:///"),
        ("--backend nonsense", "and memory:///"),
        ("--backend directory:///data", "--data-root data"),
        ("--tls-cipher-list NONE", "--tls-ciphers-available"),
    ] {
        let error = parsed(flags).unwrap_err().to_string();
        assert!(error.contains(words), "{flags}: {error}");
    }
}

#[test]
fn password_is_told_only_when_it_was_made_up() {
    let url = "https://h:8092";
    let first = |made_password: Option<&str>| FirstUser {
        name: "anna".into(),
        made_password: made_password.map(str::to_owned),
    };
    assert_eq!(announcement(url, Some(&first(None))), "endpoint  https://h:8092\nuser      anna\n");
    let told = announcement(url, Some(&first(Some("made-up"))));
    assert!(told.contains("password  made-up  (shown this once)\n"), "{told}");
    assert!(told.ends_with("RS_KEY='anna:made-up'\n"), "{told}");
    assert_eq!(announcement(url, None), "endpoint  https://h:8092\n");
}

#[test]
fn network_of_dhcp_is_read_and_checked() {
    let options = parse(
        "formwork serve --base-root /b --dhcp-subnet 10.7.0.1/24 --dhcp-range 10.7.0.50-10.7.0.99",
        false,
    );
    let subnet = options.unwrap().dhcp_subnet.unwrap();
    assert_eq!((subnet.prefix, subnet.first), (24, "10.7.0.50".parse().unwrap()));
    for (subnet, range) in [
        ("10.7.0.1", "10.7.0.50-10.7.0.99"),
        ("10.7.0.1/33", "10.7.0.50-10.7.0.99"),
        ("10.7.0.1/0", "10.7.0.50-10.7.0.99"),
        ("10.7.0.1/24", "10.7.0.99-10.7.0.50"),
        ("10.7.0.1/24", "10.8.0.50-10.8.0.99"),
    ] {
        assert!(dhcp_subnet(subnet, range, None).is_err(), "{subnet} {range}");
    }
}

#[test]
fn services_that_are_off_have_port_0() {
    let options = parse("formwork serve --base-root /b --disable-dhcp --disable-provisioner", false).unwrap();
    assert_eq!((options.dhcp_port, options.tftp_port, options.static_port), (0, 0, 0));
    assert_eq!(options.first_user, None);
}

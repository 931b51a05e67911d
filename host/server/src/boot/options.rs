//! DHCP options as operators configure them: texts, or templates over what the client sent (drp-behaviour.md 6.7).

use std::sync::Arc;

use formwork_boot_proto::dhcp::{Options, Packet, option_bytes, option_text};
use formwork_model::DhcpOption;
use formwork_template::{
    MissingKey, Object, RenderLimits, RenderOptions, Template, TemplateSet, Value, render,
};

/// The longest value of an option that a template makes, in bytes: more fits into no reply.
const VALUE_BYTES: usize = 1500;

/// What rendering one value may take: some milliseconds. Each packet pays for it.
const STEPS: u64 = 20_000;

/// The configured options of a subnet or of a reservation.
#[derive(Debug, Default)]
pub(super) struct Configured(Vec<(u8, Source)>);

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    Template(Template),
}

impl Configured {
    /// Reads the options of an object. One that cannot be used is left out and told in the log.
    pub(super) fn new(owner: &str, options: &[DhcpOption]) -> Self {
        let source = |option: &DhcpOption| {
            Source::new(option)
                .inspect_err(|problem| {
                    tracing::warn!(target: "formwork_boot::dhcp", owner, option = option.code, problem, "a dhcp option is left out");
                })
                .ok()
                .map(|source| (option.code, source))
        };
        Self(options.iter().filter_map(source).collect())
    }

    /// Returns an option that is the same for all clients.
    pub(super) fn bytes(&self, wanted: u8) -> Option<&[u8]> {
        self.0.iter().find_map(|(code, source)| match source {
            Source::Bytes(bytes) if *code == wanted => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// Adds the options for one client. A template that fails costs this client the option, and is told in the log.
    pub(super) fn add_to(&self, values: &mut Vec<(u8, Vec<u8>)>, request: &Packet) {
        for (code, source) in &self.0 {
            let value = match source {
                Source::Bytes(bytes) => Ok(bytes.clone()),
                Source::Template(template) => rendered(*code, template, request),
            };
            match value {
                Ok(value) => values.push((*code, value)),
                Err(problem) => {
                    let client = request.chaddr;
                    tracing::warn!(target: "formwork_boot::dhcp", %client, option = code, problem, "a dhcp option is left out");
                }
            }
        }
    }
}

impl Source {
    fn new(option: &DhcpOption) -> Result<Self, String> {
        if option.value.contains("{{") {
            let name = format!("option {}", option.code);
            return Template::parse(&name, &option.value)
                .map(Self::Template)
                .map_err(|error| error.to_string());
        }
        option_bytes(option.code, &option.value).map(Self::Bytes).map_err(|error| error.to_string())
    }
}

fn rendered(code: u8, template: &Template, request: &Packet) -> Result<Vec<u8>, String> {
    let limits = RenderLimits {
        output_bytes: VALUE_BYTES,
        memory_bytes: 1 << 20,
        steps: STEPS,
        ..RenderLimits::default()
    };
    let options = RenderOptions { limits, missing_key: MissingKey::default(), ..RenderOptions::default() };
    let root = Value::object(Sent(Arc::new(request.options.clone())));
    let text =
        render(&TemplateSet::default(), template, &root, &options).map_err(|error| error.to_string())?;
    option_bytes(code, text.trim()).map_err(|error| error.to_string())
}

/// What a client sent, by the numbers of options: `{{ index . 77 }}`. What it did not send is empty.
struct Sent(Arc<Options>);

impl Object for Sent {
    fn type_name(&self) -> &str {
        "map[int]string"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn item(&self, key: &Value) -> Option<Value> {
        let Value::Int(code) = key else { return None };
        let code = u8::try_from(*code).ok();
        let sent = code.and_then(|code| self.0.bytes(code).map(|bytes| option_text(code, bytes)));
        Some(Value::from(sent.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use formwork_boot_proto::dhcp::HardwareAddress;

    use super::*;

    fn option(code: u8, value: &str) -> DhcpOption {
        DhcpOption { code, value: value.to_owned() }
    }

    fn values(options: &[DhcpOption], sent: &[(u8, &[u8])]) -> Vec<(u8, Vec<u8>)> {
        let mut request = Packet::request(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]), 1);
        for (code, bytes) in sent {
            request.options.set(*code, *bytes);
        }
        let mut values = Vec::new();
        Configured::new("lab", options).add_to(&mut values, &request);
        values
    }

    #[test]
    fn texts_become_bytes_and_wrong_ones_are_left_out() {
        let options = [option(3, "10.0.0.1, 10.0.0.2"), option(6, "nonsense"), option(15, "")];
        assert_eq!(values(&options, &[]), [(3, vec![10, 0, 0, 1, 10, 0, 0, 2]), (15, vec![])]);
    }

    #[test]
    fn template_sees_what_the_client_sent_by_number() {
        let boot = r#"{{ if eq (index . 77) "iPXE" }}http://x/default.ipxe{{ else if eq (index . 93) "7" }}ipxe.efi{{ end }}"#;
        let options = [option(67, boot)];
        assert_eq!(values(&options, &[(77, b"iPXE")]), [(67, b"http://x/default.ipxe".to_vec())]);
        assert_eq!(values(&options, &[(93, &[0, 7])]), [(67, b"ipxe.efi".to_vec())]);
        assert_eq!(values(&options, &[]), [(67, vec![])], "empty means that the option is left out");
        assert_eq!(
            values(&[option(12, "{{ index . 12 | upper }}")], &[(12, b"host")]),
            [(12, b"HOST".to_vec())]
        );
    }

    #[test]
    fn template_that_fails_or_never_ends_costs_the_client_that_option_only() {
        let endless = "{{ range until 100000 }}{{ range until 100000 }}x{{ end }}{{ end }}";
        let options = [option(12, endless), option(26, "{{ index . 12 }}"), option(15, "lab")];
        assert_eq!(values(&options, &[(12, b"no number")]), [(15, b"lab".to_vec())]);
        assert!(values(&[option(12, "{{ index . \"12\" }}"), option(12, "{{ broken")], &[]).is_empty());
    }
}

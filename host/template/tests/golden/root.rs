//! The root of cases with objects; `root.go` has the same one.

use formwork_template::{Arguments, CallError, Engine, Map, Object, Value};

type Methods = dyn Fn(&str, &[Value], &mut Engine<'_>) -> Result<Option<Value>, CallError> + Send + Sync;

/// A thing with fields that stay, and methods.
struct Thing {
    name: &'static str,
    fields: Vec<(&'static str, Value)>,
    methods: Box<Methods>,
}

impl Object for Thing {
    fn type_name(&self) -> &str {
        self.name
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn call(&self, name: &str, args: &[Value], engine: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        (self.methods)(name, args, engine)
    }
}

fn thing(
    name: &'static str,
    fields: Vec<(&'static str, Value)>,
    methods: impl Fn(&str, &[Value], &mut Engine<'_>) -> Result<Option<Value>, CallError> + Send + Sync + 'static,
) -> Value {
    Value::object(Thing { name, fields, methods: Box::new(methods) })
}

/// Returns the root with these params.
pub(crate) fn root(params: Map) -> Value {
    let tasks: Vec<Value> = vec!["a".into(), "b".into()];
    let meta: Map = [("icon", Value::from("server"))].into_iter().collect();
    let machine = vec![
        ("Name", "m1.example.com".into()),
        ("Address", "192.0.2.7".into()),
        ("Uuid", "f6a1".into()),
        ("Arch", "amd64".into()),
        ("Tasks", tasks.into()),
        ("Meta", meta.into()),
    ];
    let os = thing("*main.OS", vec![("Name", "debian-12".into()), ("Family", "debian".into())], call_os);
    let info = vec![("Id", "endpoint-1".into()), ("Version", "v4.14.0".into())];
    let fields = vec![
        ("Machine", thing("*main.Machine", machine, call_machine)),
        ("Env", thing("*main.Env", vec![("Name", "debian-12-install".into()), ("OS", os)], call_env)),
        ("Info", thing("*main.Info", info, |_, _, _| Ok(None))),
        ("Task", Value::Nil),
    ];
    thing("*main.Root", fields, move |name, args, engine| match call_param(&params, name, args, engine)? {
        None => call_root(name, args, engine),
        found => Ok(found),
    })
}

fn call_param(
    params: &Map,
    name: &str,
    args: &[Value],
    engine: &mut Engine<'_>,
) -> Result<Option<Value>, CallError> {
    if !name.contains("Param") {
        return Ok(None);
    }
    let wanted = Arguments::new(args).count(1, 1)?.text(0)?;
    let value = params.get(wanted);
    if name == "ParamExists" {
        return Ok(Some(value.is_some().into()));
    }
    let value = value.ok_or_else(|| format!("no such param \"{wanted}\""))?;
    Ok(Some(match name {
        "ParamAsJSON" => engine.render_text("json", "{{toJson .}}", value)?.into(),
        "ParamExpand" => {
            let dot = engine.root().clone();
            engine.expand("text", &value, &dot)?
        }
        _ => value,
    }))
}

fn call_root(name: &str, given: &[Value], engine: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
    let args = Arguments::new(given);
    let text = |text: &str| args.count(0, 0).map(|_| Value::from(text));
    Ok(Some(match name {
        "RenderTemplate" => {
            let dot = engine.root().clone();
            engine.render_text("text", args.count(1, 1)?.text(0)?, dot)?.into()
        }
        "CallTemplate" => engine.include(args.count(2, 2)?.text(0)?, args.value(1).clone())?.into(),
        "ParseUrl" => {
            let (part, url) = (args.count(2, 2)?.text(0)?, args.text(1)?);
            let (scheme, rest) = url.split_once("://").ok_or("not a URL")?;
            let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            match part {
                "scheme" => scheme.into(),
                "host" => host.into(),
                "path" => path.into(),
                _ => return Err("no such part".into()),
            }
        }
        "NetmaskToCIDR" => {
            let parts = args.count(1, 1)?.text(0)?.split('.').filter_map(|part| part.parse::<u8>().ok());
            Value::from(parts.map(|part| i64::from(part.count_ones())).sum::<i64>())
        }
        "ProvisionerURL" => text("http://192.0.2.1:8091")?,
        "ApiURL" => text("https://192.0.2.1:8092")?,
        "GenerateToken" => text("token")?,
        "GenerateProfileToken" => format!("{}-{}", args.count(2, 2)?.text(0)?, args.int(1)?).into(),
        "Repos" => {
            let tags = (0..given.len()).map(|index| args.text(index).map(repo));
            tags.collect::<Result<Vec<_>, _>>()?.into()
        }
        _ => return Ok(None),
    }))
}

fn repo(tag: &str) -> Value {
    let url = format!("http://mirror/{tag}");
    let fields = vec![("Tag", tag.into()), ("URL", url.as_str().into())];
    thing("*main.Repo", fields, move |name, args, _| {
        Ok(Some(match name {
            "Install" => format!("url --url={url}").into(),
            "UrlFor" => format!("{url}/{}", Arguments::new(args).count(1, 1)?.text(0)?).into(),
            _ => return Ok(None),
        }))
    })
}

fn call_machine(name: &str, given: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
    let args = Arguments::new(given);
    let text = |text: &str| args.count(0, 0).map(|_| Value::from(text));
    Ok(Some(match name {
        "Path" => text("machines/f6a1")?,
        "Url" => text("http://192.0.2.1:8091/machines/f6a1")?,
        "ShortName" => text("m1")?,
        "HexAddress" => text("C0000207")?,
        "MacAddr" => match if given.is_empty() { "ipxe" } else { args.text(0)? } {
            "pxelinux" => "01-aa-bb-cc-dd-ee-ff".into(),
            "ipxe" | "grub" => "aa:bb:cc:dd:ee:ff".into(),
            "rpi4" => "aa-bb-cc-dd-ee-ff".into(),
            _ => return Err("no such format".into()),
        },
        "HasProfile" => (args.count(1, 1)?.text(0)? == "global").into(),
        _ => return Ok(None),
    }))
}

fn call_env(name: &str, given: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
    let args = Arguments::new(given);
    let place = |proto: &str, file: &str| match proto {
        "tftp" => Ok(format!("debian-12/install/{file}")),
        "http" => Ok(format!("http://192.0.2.1:8091/debian-12/install/{file}")),
        _ => Err(CallError::from(format!("no protocol \"{proto}\""))),
    };
    Ok(Some(match name {
        "PathFor" => place(args.count(2, 2)?.text(0)?, args.text(1)?)?.into(),
        "JoinInitrds" => {
            let proto = args.count(1, 1)?.text(0)?;
            format!("{} {}", place(proto, "a.img")?, place(proto, "b.img")?).into()
        }
        "InstallUrl" => args.count(0, 0).map(|_| Value::from("http://192.0.2.1:8091/debian-12/install"))?,
        _ => return Ok(None),
    }))
}

fn call_os(name: &str, given: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
    let args = Arguments::new(given);
    Ok(Some(match name {
        "FamilyName" => args.count(0, 0).map(|_| Value::from("debian"))?,
        "VersionEq" => (args.count(1, 1)?.text(0)? == "12").into(),
        _ => return Ok(None),
    }))
}

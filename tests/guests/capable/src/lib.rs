//! A task that calls every function of every capability once, and logs what it was answered.

use formwork_sdk::{
    Call, Failure, Outcome, Task, clock, exec, files, http, kv, log, params, progress, random, secrets,
};

struct Capable;

impl Task for Capable {
    fn run(call: &Call) -> Result<Outcome, Failure> {
        log::debug(format_args!("attempt {} at {}", call.attempt, call.now.0));
        params::write("capable/own", "value")?;
        log::info(format_args!("params {:?}", params::names("capable/")?));
        params::remove("capable/own")?;
        log::info(format_args!("param {:?}", params::read::<String>("capable/own")?));

        let request =
            http::Request::post("https://bmc.example/redfish/v1?x=1").header("X-Token", "t").body("{}");
        let response = request.send()?;
        log::info(format_args!(
            "http {} {:?} {}",
            response.status,
            response.header("location"),
            response.text()
        ));
        let refused = http::Request::get("https://other.example/").send();
        log::warn(refused.err().ok_or_else(|| Failure::new("granted", "another host was asked"))?);

        kv::set("cursor", &7)?;
        log::info(format_args!("kv {:?} {:?}", kv::get::<u32>("cursor")?, kv::keys("c")?));
        kv::delete("cursor")?;

        files::write("files/reports/a", b"text")?;
        log::info(format_args!("file {:?}", files::read_at("files/reports/a", 1, 2)?));
        log::info(format_args!("folder {}", files::list("files/reports")?.len()));
        log::info(format_args!("link {:?}", files::read_link("files/reports/a").err()));
        log::info(format_args!("read only {:?}", files::write("/proc/x", b"").err()));

        let output = exec::run(&exec::Command::new("lshw").arg("-json"))?;
        log::info(format_args!("exec {} {}", output.is_success(), output.stdout.len()));
        progress::report(50, "half of it");
        log::info(format_args!("secret {:?}", secrets::read("ipmi/password")?));
        log::info(format_args!("time {} {}", clock::now().0, clock::now().0));
        log::info(format_args!("random {:?}", random::bytes(4)));
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Capable);

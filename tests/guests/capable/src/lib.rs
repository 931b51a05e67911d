//! A task that calls every function of every capability once, and logs what it was answered.

use formwork_sdk::{
    Call, Failure, Outcome, Task, clock, exec, files, http, kv, log, params, progress, random, secrets,
};

struct Capable;

impl Task for Capable {
    fn run(call: &Call) -> Result<Outcome, Failure> {
        log::debug!("attempt {} at {}", call.attempt, call.now.0);
        params::write("capable/own", "value")?;
        log::info!("params {:?}", params::names("capable/")?);
        params::remove("capable/own")?;
        log::info!("param {:?}", params::read::<String>("capable/own")?);

        let request =
            http::Request::post("https://bmc.example/redfish/v1?x=1").header("X-Token", "t").body("{}");
        let response = request.send()?;
        log::info!("http {} {:?} {}", response.status, response.header("location"), response.text());
        let refused = http::Request::get("https://other.example/").send();
        let refused = refused.err().ok_or_else(|| Failure::new("granted", "another host was asked"))?;
        log::warn!("{refused}");

        kv::set("cursor", &7)?;
        log::info!("kv {:?} {:?}", kv::get::<u32>("cursor")?, kv::keys("c")?);
        kv::delete("cursor")?;

        files::write("files/reports/a", b"text")?;
        log::info!("file {:?}", files::read_at("files/reports/a", 1, 2)?);
        log::info!("folder {}", files::list("files/reports")?.len());
        log::info!("link {:?}", files::read_link("files/reports/a").err());
        log::info!("read only {:?}", files::write("/proc/x", b"").err());

        let output = exec::run(&exec::Command::new("lshw").arg("-json"))?;
        log::info!("exec {} {}", output.is_success(), output.stdout.len());
        progress::report(50, "half of it");
        log::info!("secret {:?}", secrets::read("ipmi/password")?);
        log::info!("time {} {}", clock::now().0, clock::now().0);
        log::info!("random {:?}", random::bytes(4));
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Capable);

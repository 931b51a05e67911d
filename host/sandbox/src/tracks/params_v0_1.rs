//! Parameters, track 0.1: without `remove` and `list-names`.

use wasmtime::component::{HasSelf, Linker};

use crate::capabilities::{host_errors, same};
use crate::state::CallState;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world params { import formwork:params/params@0.1.0; }",
        path: ["../../wit/params-0.1"],
        world: "formwork:host/params",
        imports: { default: async | trappable },
    });
}

use bindings::formwork::params::params as wit;

/// Links the interface of this track.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<_>>(linker, same)
}

impl wit::Host for CallState {
    async fn read(&mut self, name: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        Ok(self.param_read(name).await?.map_err(Into::into))
    }

    async fn write(&mut self, name: String, json: String) -> wasmtime::Result<Result<(), wit::Error>> {
        Ok(self.param_write(name, json).await?.map_err(Into::into))
    }
}

host_errors!(wit::Error);

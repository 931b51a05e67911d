//! Which objects' parameters apply to an object, the most specific first (drp-api.md 6.2, drp-behaviour.md 1.2).

use std::sync::{Arc, OnceLock};

use formwork_model::{
    Blueprint, Machine, Object, Objects, ObjectsExt, Params, Pipeline, Profile, Reservation, Stage, Subnet,
    Values, WorkOrder,
};
use serde_json::Value;

use crate::work_orders::workflow;

/// The profile that applies to every machine after all else.
const GLOBAL: &str = "global";

/// The profiles, and the pipelines, that are looked at for one object; what nests deeper does not apply.
const MAX_PROFILES: usize = 1_000;

/// One of the objects whose parameters apply to another.
#[derive(Clone, Debug)]
pub struct Level<'a> {
    holder: Holder<'a>,
    /// The parameters, once somebody wanted all of them.
    values: OnceLock<Values>,
}

#[derive(Clone, Debug)]
enum Holder<'a> {
    Asked(&'a dyn Object),
    Other(Arc<dyn Object>),
}

impl<'a> From<Holder<'a>> for Level<'a> {
    fn from(holder: Holder<'a>) -> Self {
        Self { holder, values: OnceLock::new() }
    }
}

impl Level<'_> {
    /// Returns the object that has the parameters.
    #[must_use]
    pub fn object(&self) -> &dyn Object {
        match &self.holder {
            Holder::Asked(object) => *object,
            Holder::Other(object) => object.as_ref(),
        }
    }

    /// Returns the parameters.
    #[must_use]
    pub fn values(&self) -> &Values {
        self.values.get_or_init(|| self.object().params().map(Params::values).unwrap_or_default())
    }

    /// Returns one parameter, without a look at the others.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        self.object().params()?.get(name)
    }
}

/// Returns the objects whose parameters apply to one, itself first, without the defaults of schemas.
///
/// A work order's own and those of its profiles go before those of its machine, also where the machine is asked that goes
/// through the workflow of the order. A machine has its own, then those of its
/// profiles with what they nest, of its pipeline with profiles and parents, of its stage and the profiles of that, and of
/// `global`. Of other types it is their own and those of their profiles.
#[must_use]
pub fn levels<'a>(objects: &(impl Objects + ?Sized), object: &'a dyn Object) -> Vec<Level<'a>> {
    let mut look = Lookup { objects, seen: Vec::new(), found: Vec::new() };
    look.before(object);
    look.found.push(Holder::Asked(object).into());
    look.of(object);
    look.found
}

/// Returns [`levels`] of a shared object, which they keep.
#[must_use]
pub fn levels_of(objects: &(impl Objects + ?Sized), object: &Arc<dyn Object>) -> Vec<Level<'static>> {
    let mut look = Lookup { objects, seen: Vec::new(), found: Vec::new() };
    look.before(object.as_ref());
    look.found.push(Holder::Other(Arc::clone(object)).into());
    look.of(object.as_ref());
    look.found
}

struct Lookup<'s, 'a, O: Objects + ?Sized> {
    objects: &'s O,
    seen: Vec<String>,
    found: Vec<Level<'a>>,
}

impl<O: Objects + ?Sized> Lookup<'_, '_, O> {
    fn add(&mut self, object: Arc<dyn Object>) {
        self.found.push(Holder::Other(object).into());
    }

    /// Adds what applies to an object before its own parameters.
    fn before(&mut self, object: &dyn Object) {
        if let Some(order) = Machine::of(object).and_then(|machine| workflow::running(self.objects, machine))
        {
            self.add(Arc::clone(&order) as _);
            self.profiles(&order.profiles);
        }
    }

    /// Adds what applies to an object after its own parameters.
    fn of(&mut self, object: &dyn Object) {
        let any = object.as_any();
        if let Some(machine) = Machine::of(object) {
            self.machine(machine);
        } else if let Some(order) = any.downcast_ref::<WorkOrder>() {
            self.profiles(&order.profiles);
            if let Some(machine) = self.objects.get::<Machine>(&order.machine) {
                self.add(Arc::clone(&machine) as _);
                self.machine(&machine);
            }
        } else if let Some(profile) = any.downcast_ref::<Profile>() {
            self.seen.push(profile.name.clone());
            self.profiles(&profile.profiles);
        } else if let Some(stage) = any.downcast_ref::<Stage>() {
            self.profiles(&stage.profiles);
        } else if let Some(pipeline) = any.downcast_ref::<Pipeline>() {
            self.profiles(&pipeline.profiles);
            self.pipelines(&pipeline.pipelines, &mut vec![pipeline.name.clone()]);
        } else if let Some(blueprint) = any.downcast_ref::<Blueprint>() {
            self.profiles(&blueprint.profiles);
        } else if let Some(reservation) = any.downcast_ref::<Reservation>() {
            self.profiles(&reservation.profiles);
        } else if let Some(subnet) = any.downcast_ref::<Subnet>() {
            self.profiles(&subnet.profiles);
        }
    }

    fn machine(&mut self, machine: &Machine) {
        self.profiles(&machine.profiles);
        self.pipelines(std::slice::from_ref(&machine.pipeline), &mut Vec::new());
        if let Some(stage) = self.objects.get::<Stage>(&machine.stage) {
            self.add(Arc::clone(&stage) as _);
            self.profiles(&stage.profiles);
        }
        self.profiles(&[String::from(GLOBAL)]);
    }

    /// Visits profiles depth first; one that was met before is passed over, which also breaks loops.
    fn profiles(&mut self, names: &[String]) {
        for name in names {
            if self.seen.contains(name) || self.seen.len() >= MAX_PROFILES {
                continue;
            }
            self.seen.push(name.clone());
            if let Some(profile) = self.objects.get::<Profile>(name) {
                self.add(Arc::clone(&profile) as _);
                self.profiles(&profile.profiles);
            }
        }
    }

    /// Visits pipelines depth first, each before its parents.
    fn pipelines(&mut self, names: &[String], seen: &mut Vec<String>) {
        for name in names {
            if name.is_empty() || seen.contains(name) || seen.len() >= MAX_PROFILES {
                continue;
            }
            seen.push(name.clone());
            if let Some(pipeline) = self.objects.get::<Pipeline>(name) {
                self.add(Arc::clone(&pipeline) as _);
                self.profiles(&pipeline.profiles);
                self.pipelines(&pipeline.pipelines, seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Shelf;

    fn profile(name: &str, nested: &[&str]) -> Profile {
        let profiles = nested.iter().map(ToString::to_string).collect();
        Profile { name: name.into(), profiles, ..Profile::default() }
    }

    fn pipeline(name: &str, profiles: &[&str], parents: &[&str]) -> Pipeline {
        Pipeline {
            name: name.into(),
            profiles: profiles.iter().map(ToString::to_string).collect(),
            pipelines: parents.iter().map(ToString::to_string).collect(),
            ..Pipeline::default()
        }
    }

    fn shelf() -> Shelf {
        let stage = Stage { name: "s".into(), profiles: vec!["p3".into()], ..Stage::default() };
        [profile("p1", &["p2"]), profile("p2", &["p1"]), profile("p3", &[]), profile("global", &["p4"])]
            .into_iter()
            .chain([profile("p4", &[]), profile("p5", &[]), profile("p6", &[])])
            .fold(Shelf::default(), |shelf, profile| shelf.with(profile))
            .with(pipeline("child", &["p5"], &["parent"]))
            .with(pipeline("parent", &["p6"], &["child"]))
            .with(stage)
    }

    fn machine() -> Machine {
        Machine {
            uuid: "u-1".into(),
            profiles: vec!["p1".into()],
            pipeline: "child".into(),
            stage: "s".into(),
            ..Machine::default()
        }
    }

    fn names(objects: &Shelf, object: &dyn Object) -> String {
        let levels = levels(objects, object);
        levels.iter().map(|level| level.object().key()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn machine_has_its_own_then_profiles_pipelines_stage_and_global() {
        assert_eq!(names(&shelf(), &machine()), "u-1 p1 p2 child p5 parent p6 s p3 global p4");
    }

    #[test]
    fn work_order_goes_before_its_machine() {
        let order = WorkOrder {
            uuid: "w".into(),
            machine: "u-1".into(),
            profiles: vec!["p2".into()],
            ..WorkOrder::default()
        };
        let shelf = shelf().with(machine());
        assert_eq!(names(&shelf, &order), "w p2 p1 u-1 child p5 parent p6 s p3 global p4");
    }

    #[test]
    fn work_order_whose_workflow_a_machine_goes_through_goes_before_it_too() {
        let mut machine = machine();
        machine.header.meta.insert(workflow::ORDER.into(), "w".into());
        let order = |state: &str| WorkOrder {
            uuid: "w".into(),
            machine: "u-1".into(),
            profiles: vec!["p2".into()],
            mode: "workflow".into(),
            state: state.into(),
            ..WorkOrder::default()
        };
        let running = shelf().with(order("running"));
        assert_eq!(names(&running, &machine), "w p2 p1 u-1 child p5 parent p6 s p3 global p4");
        let over = shelf().with(order("finished"));
        assert_eq!(names(&over, &machine), "u-1 p1 p2 child p5 parent p6 s p3 global p4");
    }

    #[test]
    fn other_types_have_their_own_and_those_of_their_profiles() {
        let shelf = shelf();
        assert_eq!(names(&shelf, &profile("p1", &["p2"])), "p1 p2");
        assert_eq!(names(&shelf, &pipeline("child", &["p5"], &["parent"])), "child p5 parent p6");
        let held =
            Reservation { addr: "10.0.0.1".into(), profiles: vec!["p3".into()], ..Reservation::default() };
        assert_eq!(names(&shelf, &held), "0A000001 p3");
        let subnet = Subnet { name: "lab".into(), profiles: vec!["p3".into()], ..Subnet::default() };
        assert_eq!(names(&shelf, &subnet), "lab p3");
    }
}

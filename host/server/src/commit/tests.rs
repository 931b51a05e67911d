use std::cell::Cell;

use formwork_model::{
    BootEnv, Machine, Objects, ObjectsExt, Profile, Span, Stage, Template, TemplateInfo, Workflow,
};
use formwork_store::Snapshot;

use super::*;
use crate::testing::{Site, Wishes};

/// The objects of a store, with a count of how many are looked at without an index.
struct Counting {
    objects: Snapshot,
    visited: Cell<usize>,
}

impl Counting {
    fn new(objects: Snapshot) -> Self {
        Self { objects, visited: Cell::new(0) }
    }
}

impl Objects for Counting {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.objects.find(prefix, key)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.visit(prefix, &mut |object| {
            self.visited.set(self.visited.get() + 1);
            visit(object)
        });
    }

    fn count(&self, prefix: &str) -> usize {
        self.objects.count(prefix)
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.users_of(prefix, key, visit);
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.range(span, visit);
    }
}

fn machine(number: u32) -> Machine {
    Machine {
        uuid: format!("8f3b7a52-0c1d-4e6f-9a2b-{number:012}"),
        name: format!("node-{number}"),
        arch: String::from("amd64"),
        profiles: vec![String::from("rack")],
        ..Machine::default()
    }
}

async fn put(site: &Site, objects: Vec<Box<dyn Object>>) {
    let objects: Vec<Arc<dyn Object>> = objects.into_iter().map(|object| object.shared()).collect();
    let done = commit(&site.endpoint, "user:anna", move |work| {
        objects.iter().try_for_each(|object| work.put(object.boxed()).map(drop))
    });
    done.await.unwrap();
}

async fn delete(site: &Site, prefix: &'static str, key: &'static str) {
    let done = commit(&site.endpoint, "user:anna", move |work| {
        work.tx.delete(prefix, key);
        Ok(())
    });
    done.await.unwrap();
}

async fn with_machines() -> Site {
    let site = Site::new(Wishes::default());
    let mut objects: Vec<Box<dyn Object>> =
        vec![Box::new(Profile { name: String::from("rack"), ..Profile::default() })];
    objects.extend((0..50).map(|number| machine(number).boxed()));
    put(&site, objects).await;
    site
}

#[tokio::test]
async fn deleting_needs_no_visit_of_other_types() {
    let site = with_machines().await;
    let objects = Counting::new(site.endpoint.snapshot());
    assert_eq!(availability::users(&objects, "profiles", "rack").len(), 50);
    assert!(availability::users(&objects, "stages", "none").is_empty());
    let causes = vec![("profiles", String::from("rack")), ("machines", machine(3).uuid)];
    assert!(availability::dependants(&objects, causes, &|_| Vec::new()).is_empty());
    assert_eq!(objects.visited.get(), 0);
}

#[tokio::test]
async fn name_taken_is_found_without_visiting_machines() {
    let site = with_machines().await;
    let objects = Counting::new(site.endpoint.snapshot());
    let mut twin = Machine { name: String::from("node-7"), ..machine(50) };
    let refusal = availability::admit(&objects, &mut twin, Vec::new()).unwrap_err();
    let message = format!("{}: Machine Name node-7 is already in use", twin.uuid);
    assert!(matches!(&refusal, Refusal::Invalid(messages) if *messages == [message]), "{refusal:?}");
    availability::admit(&objects, &mut machine(7), Vec::new()).unwrap();
    availability::admit(&objects, &mut machine(51), Vec::new()).unwrap();
    assert_eq!(objects.visited.get(), 0);
}

#[tokio::test]
async fn chain_of_references_settles_once() {
    let site = Site::new(Wishes::default());
    let named = String::from;
    let text = || Template { id: named("greeting"), contents: named("hello"), ..Template::default() };
    let entry = TemplateInfo {
        name: named("hello"),
        path: named("hello"),
        id: named("greeting"),
        ..TemplateInfo::default()
    };
    put(
        &site,
        vec![
            Box::new(text()),
            Box::new(BootEnv { name: named("lab-env"), templates: vec![entry], ..BootEnv::default() }),
            Box::new(Stage { name: named("lab"), boot_env: named("lab-env"), ..Stage::default() }),
            Box::new(Workflow { name: named("install"), stages: vec![named("lab")], ..Workflow::default() }),
            Box::new(Machine {
                boot_env: named("lab-env"),
                stage: named("lab"),
                workflow: named("install"),
                profiles: Vec::new(),
                ..machine(1)
            }),
        ],
    )
    .await;
    let uuid = machine(1).uuid;
    let chain = [("bootenvs", "lab-env"), ("stages", "lab"), ("workflows", "install"), ("machines", &uuid)];
    let available = || -> Vec<bool> {
        let snapshot = site.endpoint.snapshot();
        let found = |(prefix, key)| snapshot.find(prefix, key).unwrap().header().available;
        chain.iter().copied().map(found).collect()
    };
    assert_eq!(available(), [true; 4]);
    let mut feed = site.endpoint.store.feed();
    delete(&site, "templates", "greeting").await;
    assert_eq!(available(), [false; 4]);
    let errors = site.endpoint.snapshot().get::<Machine>(&uuid).unwrap().header.errors.len();
    assert_eq!(errors, 3, "the machine knows of all three");
    put(&site, vec![Box::new(text())]).await;
    assert_eq!(available(), [true; 4]);
    put(&site, vec![Box::new(Template { id: named("other"), ..text() })]).await;
    let sizes: Vec<usize> =
        std::iter::from_fn(|| feed.try_next().unwrap()).map(|entry| entry.changes.len()).collect();
    assert_eq!(sizes, [5, 5, 1]);
}

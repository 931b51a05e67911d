//! The objects of Formwork: ids, records and their JSON.

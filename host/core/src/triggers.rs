//! When triggers fire, on which machines, and what work orders that makes (drp-api.md 14.7, drp-behaviour.md 3.12).

use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use formwork_model::{Timestamp, Trigger, Values, WorkOrder};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// The provider whose triggers fire at certain times.
pub const CRON: &str = "cron-trigger";

/// The param that says at which.
pub const SCHEDULE: &str = "cron-trigger/schedule";

/// The provider whose triggers fire on events.
pub const EVENT: &str = "event-trigger";

/// The param that says on which: a filter of the websocket.
pub const EVENT_MATCH: &str = "event-trigger/event-match";

/// The fields of a schedule.
const FIELDS: usize = 5;

/// The times of a crontab line.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// Parses the five fields of a crontab line.
    ///
    /// # Errors
    ///
    /// There are more or fewer fields, or one is malformed; the words for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: String| {
            format!(
                "`{text}` is no schedule: {why}\nhint: minute, hour, day, month, day of the week, as in `30 2 * * 1-5`"
            )
        };
        let fields = text.split_whitespace().count();
        if fields != FIELDS {
            return Err(wrong(format!("it has {fields} fields and not {FIELDS}")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        parser.parse(text).map(Self).map_err(|error| wrong(error.to_string()))
    }

    /// Tells whether it is the same as another.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }

    /// Returns the first time after another, in a time zone; none when there is none any more.
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.millis()).ok()?.to_zoned(zone.clone());
        let next = self.0.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }
}

/// Reads the filter of a trigger: index and condition of each part, with blanks or `&` between the parts.
pub fn conditions(filter: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut depth = 0_usize;
    let parts = filter.split(move |c: char| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        depth == 0 && (c == '&' || c.is_whitespace())
    });
    parts.filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Chooses the machines that get a work order among those that the filter finds. `below` returns a random number below another.
#[must_use]
pub fn chosen(
    trigger: &Trigger,
    mut found: Vec<String>,
    mut below: impl FnMut(usize) -> usize,
) -> Vec<String> {
    if trigger.all_in_filter {
        return found;
    }
    let count = usize::try_from(trigger.filter_count.max(1)).unwrap_or(usize::MAX).min(found.len());
    for place in 0..count {
        let other = place + below(found.len() - place);
        found.swap(place, other);
    }
    found.truncate(count);
    found
}

/// What finds every machine that takes work orders; an order without a machine must say what machines may take it.
const ANY: &str = "WorkOrderMode=true";

/// Returns the work order that a trigger makes for a machine, or for whichever machine the filter finds later. Params of the
/// trigger's own go first, then what the occasion brings along (drp-behaviour.md 3.12).
#[must_use]
pub fn work_order(
    trigger: &Trigger,
    machine: Option<&str>,
    data: &Map<String, Value>,
    now: Timestamp,
) -> WorkOrder {
    let mut params: Values = trigger.work_order_params.clone();
    if trigger.merge_data_into_params {
        params.extend(data.clone());
    }
    if !trigger.store_data_in_parameter.is_empty() {
        params.insert(trigger.store_data_in_parameter.clone(), Value::Object(data.clone()));
    }
    let filter = match machine {
        Some(_) => "",
        None if trigger.filter.is_empty() => ANY,
        None => trigger.filter.as_str(),
    };
    WorkOrder {
        machine: machine.unwrap_or_default().to_owned(),
        filter: filter.to_owned(),
        blueprint: trigger.blueprint.clone(),
        params: params.into(),
        profiles: trigger.work_order_profiles.clone(),
        create_time: now,
        ..WorkOrder::default()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use serde_json::json;

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::from_str(text).unwrap()
    }

    #[test]
    fn schedule_has_its_next_time_in_its_time_zone() {
        let next = |line: &str, after: &str, zone: &TimeZone| {
            Schedule::parse(line).unwrap().next(time(after), zone).map(|time| time.to_string())
        };
        let utc = TimeZone::UTC;
        let from = "2031-03-28T01:59:30Z";
        assert_eq!(next("* * * * *", from, &utc).as_deref(), Some("2031-03-28T02:00:00Z"));
        assert_eq!(next("* * * * *", "2031-03-28T02:00:00Z", &utc).as_deref(), Some("2031-03-28T02:01:00Z"));
        assert_eq!(next("30 2 * * 1-5", from, &utc).as_deref(), Some("2031-03-28T02:30:00Z"));
        assert_eq!(next("0 0 30 2 *", from, &utc), None);
        let east = TimeZone::fixed(jiff::tz::offset(3));
        assert_eq!(next("0 8 * * *", from, &east).as_deref(), Some("2031-03-28T05:00:00Z"));
    }

    #[test]
    fn malformed_schedule_is_refused_with_a_hint() {
        for (line, why) in [
            ("* * * *", "4 fields"),
            ("* * * * * *", "6 fields"),
            ("", "0 fields"),
            ("@daily", "1 fields"),
            ("61 * * * *", "hint: minute"),
            ("x * * * *", "hint: minute"),
        ] {
            let told = Schedule::parse(line).unwrap_err();
            assert!(told.contains(why) && told.contains("no schedule"), "{told}");
        }
    }

    #[test]
    fn filter_splits_outside_of_parentheses() {
        let found: Vec<_> = conditions("Pool=Eq(a b)&Name=In(x,y)  Locked=false x").collect();
        assert_eq!(found, [("Pool", "Eq(a b)"), ("Name", "In(x,y)"), ("Locked", "false"), ("x", "")]);
        assert_eq!(conditions("").count(), 0);
    }

    #[test]
    fn as_many_machines_are_chosen_as_the_trigger_says_and_none_twice() {
        let found = || (0..5).map(|number| number.to_string()).collect::<Vec<_>>();
        let last = |count: usize| count - 1;
        for (filter_count, wanted) in [(0, 1), (3, 3), (9, 5)] {
            let trigger = Trigger { filter_count, ..Trigger::default() };
            let mut chosen = chosen(&trigger, found(), last);
            chosen.sort();
            chosen.dedup();
            assert_eq!(chosen.len(), wanted);
        }
        let all = Trigger { all_in_filter: true, filter_count: 1, ..Trigger::default() };
        assert_eq!(super::chosen(&all, found(), last).len(), 5);
        assert!(super::chosen(&Trigger::default(), Vec::new(), last).is_empty());
    }

    #[test]
    fn data_goes_into_params_as_the_trigger_says() {
        let data = json!({"a": 1, "b": 2}).as_object().unwrap().clone();
        let mut trigger = Trigger { filter: "Pool=x".into(), ..Trigger::default() };
        trigger.work_order_params.insert("a".into(), json!(0));
        let params =
            |trigger: &Trigger| work_order(trigger, Some("m"), &data, Timestamp::default()).params.values();
        assert_eq!(json!(params(&trigger)), json!({"a": 0}));
        trigger.merge_data_into_params = true;
        assert_eq!(json!(params(&trigger)), json!({"a": 1, "b": 2}));
        trigger.store_data_in_parameter = "all".into();
        assert_eq!(json!(params(&trigger)), json!({"a": 1, "all": {"a": 1, "b": 2}, "b": 2}));
        let bound = work_order(&trigger, Some("m"), &data, Timestamp::default());
        assert_eq!((bound.machine.as_str(), bound.filter.as_str()), ("m", ""));
        let anybody = work_order(
            &Trigger { filter: String::new(), ..trigger.clone() },
            None,
            &data,
            Timestamp::default(),
        );
        assert_eq!(anybody.filter, ANY);
        let waiting = work_order(&trigger, None, &data, Timestamp::default());
        assert_eq!((waiting.machine.as_str(), waiting.filter.as_str()), ("", "Pool=x"));
    }
}

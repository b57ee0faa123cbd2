//! When rollouts may begin: ordinary days, clocks that jump, and whatever else a calendar may say.

use proptest::prelude::*;

use super::*;

/// The calendar of an environment with these tables.
fn calendar(tables: &str) -> Calendar {
    let text =
        format!("[[service]]\nname = \"s\"\nimage = \"s\"\n[[environment]]\nname = \"live\"\n{tables}");
    let policy = crate::check(&text, "test").unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    policy.environments[0].calendar.clone()
}

fn window(days: &str, from: &str, to: &str, zone: &str) -> String {
    format!("[[environment.window]]\ndays = [{days}]\nfrom = \"{from}\"\nto = \"{to}\"\nzone = \"{zone}\"\n")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When it opens again, if it is closed at that time.
#[track_caller]
fn until(calendar: &Calendar, now: &str) -> Option<String> {
    let closed = calendar.closed(at(now)).expect("it is closed");
    closed.until.map(|until| until.to_string())
}

#[track_caller]
fn open(calendar: &Calendar, times: &[&str]) {
    for time in times {
        assert_eq!(calendar.closed(at(time)), None, "{time}");
    }
}

#[test]
fn without_windows_and_freezes_it_is_always_open() {
    open(&Calendar::default(), &["2026-11-30T00:00:00Z", "9999-12-30T00:00:00Z"]);
}

#[test]
fn a_window_is_open_from_its_start_to_before_its_end_on_its_days() {
    let work =
        calendar(&window("\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"", "09:00", "16:30", "Europe/Berlin"));
    // Winter: one hour east. The 27th of November 2026 is a Friday.
    open(&work, &["2026-11-27T08:00:00Z", "2026-11-27T15:29:59.999Z"]);
    assert_eq!(until(&work, "2026-11-27T07:59:59Z").as_deref(), Some("2026-11-27T08:00:00Z"));
    assert_eq!(until(&work, "2026-11-27T15:30:00Z").as_deref(), Some("2026-11-30T08:00:00Z"), "on Monday");
    let closed = work.closed(at("2026-11-28T10:00:00Z")).unwrap();
    assert_eq!(closed.why, "outside of the windows for changes");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let night = calendar(&window("\"sat\"", "22:00", "04:00", "UTC"));
    open(&night, &["2026-11-28T22:00:00Z", "2026-11-29T03:59:59Z"]);
    assert_eq!(until(&night, "2026-11-28T03:00:00Z").as_deref(), Some("2026-11-28T22:00:00Z"));
    assert_eq!(until(&night, "2026-11-29T04:00:00Z").as_deref(), Some("2026-12-05T22:00:00Z"));
    let days = calendar(&window("\"sat\", \"sun\"", "00:00", "24:00", "UTC"));
    open(&days, &["2026-11-28T00:00:00Z", "2026-11-28T23:59:59Z", "2026-11-29T23:59:59Z"]);
    assert_eq!(until(&days, "2026-11-30T00:00:00Z").as_deref(), Some("2026-12-05T00:00:00Z"));
}

#[test]
fn where_the_clock_goes_forward_a_window_opens_when_it_has_jumped_into_it() {
    // On the 29th of March 2026 Berlin's clocks go from 02:00 to 03:00, at 01:00 UTC.
    let within = calendar(&window("\"*\"", "02:30", "04:00", "Europe/Berlin"));
    assert_eq!(until(&within, "2026-03-29T00:40:00Z").as_deref(), Some("2026-03-29T01:00:00Z"));
    open(&within, &["2026-03-29T01:00:00Z", "2026-03-29T01:59:59Z"]);
    let skipped = calendar(&window("\"sun\"", "02:00", "03:00", "Europe/Berlin"));
    assert_eq!(
        until(&skipped, "2026-03-28T12:00:00Z").as_deref(),
        Some("2026-04-05T00:00:00Z"),
        "a week later"
    );
}

#[test]
fn where_the_clock_goes_back_a_window_opens_as_often_as_its_time_is_shown() {
    // On the 25th of October 2026 Berlin's clocks go from 03:00 to 02:00, at 01:00 UTC.
    let twice = calendar(&window("\"*\"", "02:15", "02:45", "Europe/Berlin"));
    open(&twice, &["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:44:59Z"]);
    assert_eq!(until(&twice, "2026-10-25T00:45:00Z").as_deref(), Some("2026-10-25T01:15:00Z"));
    let before = calendar(&window("\"*\"", "01:00", "02:30", "Europe/Berlin"));
    assert_eq!(
        until(&before, "2026-10-25T00:30:00Z").as_deref(),
        Some("2026-10-25T01:00:00Z"),
        "it jumped back in"
    );
    open(&before, &["2026-10-25T01:29:59Z"]);
    assert_eq!(until(&before, "2026-10-25T01:30:00Z").as_deref(), Some("2026-10-26T00:00:00Z"));
}

#[test]
fn a_freeze_closes_whatever_the_windows_say_and_says_why() {
    let holidays = "[[environment.freeze]]\nfrom = \"2026-12-23T18:00\"\nuntil = \"2026-12-27\"\nwhy = \"holidays\"\n\
                    zone = \"America/New_York\"\n[[freeze]]\nfrom = \"2026-12-28T05:00:00Z\"\nuntil = \"2026-12-28T12:00:00+01:00\"\n\
                    why = \"inventory\"\n";
    let frozen = calendar(holidays);
    open(&frozen, &["2026-12-23T22:59:59Z", "2026-12-28T11:00:00Z"]);
    let closed = frozen.closed(at("2026-12-23T23:00:00Z")).unwrap();
    assert_eq!(closed.why, "frozen: holidays");
    assert_eq!(closed.until, Some(at("2026-12-28T11:00:00Z")), "one after the other");
    let days = calendar(&format!("{}{holidays}", window("\"mon\"", "09:00", "10:00", "UTC")));
    assert_eq!(
        until(&days, "2026-12-21T11:00:00Z").as_deref(),
        Some("2027-01-04T09:00:00Z"),
        "the 28th is frozen"
    );
}

#[test]
fn what_never_opens_is_said_to_be_out_of_sight() {
    let never =
        "[[environment.freeze]]\nfrom = \"2026-01-01\"\nuntil = \"9999-12-29\"\nwhy = \"it is retired\"\n";
    let both = calendar(&format!("{}{never}", window("\"mon\"", "09:00", "10:00", "UTC")));
    let closed = both.closed(at("2026-12-23T23:00:00Z")).unwrap();
    assert!(closed.until.is_none_or(|until| until > at("9999-12-29T00:00:00Z")), "{closed:?}");
}

#[test]
fn what_is_no_window_and_no_freeze_has_a_code() {
    let good = window("\"mon\"", "09:00", "10:00", "UTC");
    let freeze = "[[freeze]]\nfrom = \"2026-01-02\"\nuntil = \"2026-01-02\"\nwhy = \"w\"\n";
    for (tables, at) in [
        (good.replace("09:00", "9:00"), "9:00"),
        (good.replace("09:00", "24:01"), "24:01"),
        (good.replace("10:00", "09:00"), "09:00"),
        (good.replace("\"mon\"", ""), "[]"),
        (good.replace("UTC", "Europe/Berln"), "Europe/Berln"),
        (freeze.replace("from = \"2026-01-02\"", "from = \"2026-01-03\""), "2026-01-02"),
        (freeze.replace("from = \"2026-01-02\"", "from = \"tomorrow\""), "tomorrow"),
    ] {
        let text =
            format!("[[service]]\nname = \"s\"\nimage = \"s\"\n[[environment]]\nname = \"live\"\n{tables}");
        let faults = crate::check(&text, "test").unwrap_err();
        let found: Vec<_> =
            faults.iter().map(|fault| (fault.code.to_string(), &text[fault.span.clone()])).collect();
        assert_eq!(found, [("LS0128".to_owned(), at)], "{faults:?}");
    }
    let text = format!(
        "[[service]]\nname = \"s\"\nimage = \"s\"\n[[environment]]\nname = \"live\"\n{}",
        good.replace("UTC", "Europe/Berln")
    );
    assert_eq!(crate::check(&text, "test").unwrap_err()[0].suggestion.as_deref(), Some("Europe/Berlin"));
}

fn any_window() -> impl Strategy<Value = Window> {
    let time = (0..24_i8, 0..60_i8).prop_map(|(hour, minute)| Time::new(hour, minute, 0, 0).unwrap());
    let zone = prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("Asia/Kathmandu")
    ];
    let zone = zone.prop_map(|name| jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap());
    (any::<[bool; 7]>(), time.clone(), time, zone).prop_map(|(days, from, to, zone)| Window {
        days,
        from,
        to,
        zone,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a look at every minute: closed until then, and open then.
    #[test]
    fn the_next_opening_is_the_first_minute_that_is_open(
        windows in prop::collection::vec(any_window(), 1..4),
        // Around the days on which clocks go forward, back, and neither, in minutes.
        start in prop_oneof![Just(29_580_000_i64), Just(29_884_000), Just(29_960_000)],
        later in 0..12_000_i64,
        frozen in 0..3_000_i64,
    ) {
        let minute = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let now = start + later;
        let freezes = vec![Freeze { from: minute(now), until: minute(now + frozen), why: "w".into() }];
        let calendar = Calendar { windows, freezes };
        match calendar.closed(minute(now)) {
            None => prop_assert!(frozen == 0),
            Some(closed) => {
                let end = closed.until.map_or(now + 8 * 1_440, |until| until.as_second() / 60);
                for between in (now..end.min(now + 12 * 1_440)).step_by(7) {
                    prop_assert!(calendar.closed(minute(between)).is_some(), "{:?} is open", minute(between));
                }
                if let Some(until) = closed.until {
                    prop_assert_eq!(until.as_second() % 60, 0);
                    prop_assert!(calendar.closed(until).is_none(), "{until} is closed");
                    prop_assert!(calendar.closed(minute(end - 1)).is_some() || end == now);
                }
            }
        }
    }
}

//! Rows of a function that counts, replayed by one that counts alike, and by one that does not.

use jiff::Timestamp;
use longshore_events::types::{RequestKind, RequestMade};
use longshore_events::{ChainId, Link, takes};
use longshore_ports::journal::Relied;
use longshore_ports::{EffectKind, Key, PortError};

use super::*;
use crate::{Failure, Lease};

takes! {
    enum Input { RequestMade }
}

/// Adds as much as it saw, so often, and says what it was told.
struct Counter {
    times: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct State {
    past: Vec<u64>,
    sum: u64,
}

impl Function for Counter {
    const NAME: &'static str = "counter";
    type Input = Input;
    type State = State;
    type Seen = u64;
    type Effect = u64;

    fn units(&self, _: &Input) -> Vec<String> {
        vec!["u".into()]
    }

    fn key(&self, unit: &str, _: &u64) -> Key {
        let (function, unit) = (Self::NAME.into(), unit.into());
        Key { function, unit, generation: None, name: "n".into(), kind: EffectKind::Named, restoring: false }
    }

    async fn observe(&self, _: &str, _: &State, _: &Cause<Input>) -> Result<u64, PortError> {
        Ok(0)
    }

    fn decide(
        &self,
        _: &str,
        at: &At,
        mut state: State,
        cause: Cause<Input>,
        seen: &u64,
    ) -> Decision<State, u64> {
        state.past.push(state.sum);
        state.sum += seen * self.times;
        let mut decision = Decision::rest(state).wake(at.now);
        decision.hold_lease = at.lease == Lease::Free(7) && !at.stopped;
        match cause {
            Cause::Told(told) => {
                let Input::RequestMade(request) = told.input;
                decision = decision.effect(seen * self.times).say(request.who.clone(), &told.link, request);
                let kind = "k".into();
                decision.relied_on.push(Relied { kind, subject: "s".into(), event: Some(told.id) });
            }
            Cause::Failed(failure) => decision.state.sum += u64::from(failure.attempts),
            Cause::Woken | Cause::Done => {}
        }
        decision
    }

    async fn perform(&self, _: &str, _: &Key, _: &u64) -> Result<(), PortError> {
        Ok(())
    }
}

/// A journal's part: rows as the frame writes them.
#[derive(Default)]
struct Unit {
    state: String,
    rows: Vec<DecisionRow>,
    told: Vec<Option<Event>>,
    said: Vec<Vec<Event>>,
}

fn event(id: &str, subject: &str, link: Link, data: longshore_events::Data) -> Event {
    Event {
        id: EventId::new(id).unwrap(),
        source: "test".into(),
        subject: subject.into(),
        time: Timestamp::UNIX_EPOCH,
        link,
        traceparent: None,
        dryrun: false,
        data,
    }
}

fn request() -> Event {
    let (what, who, target) = (RequestKind::Stop, "mona".into(), "all".into());
    let link = Link { chain: ChainId::new("c").unwrap(), cause: None };
    event("asked", "all", link, RequestMade { what, who, target, to: None, why: None }.into())
}

impl Unit {
    fn decides(&mut self, cause: &Cause<Input>, told: Option<Event>, seen: u64) {
        let version = self.rows.len() as u64 + 1;
        let at = At { now: Timestamp::from_second(5).unwrap(), lease: Lease::Free(7), stopped: version == 2 };
        let state =
            if self.state.is_empty() { State::default() } else { serde_json::from_str(&self.state).unwrap() };
        let decision = Counter { times: 1 }.decide("u", &at, state, cause.clone(), &seen);
        let after = serde_json::to_string(&decision.state).unwrap();
        let record = Record::of(&decision, cause, &at, version, (&self.state, &after));
        self.rows.push(DecisionRow {
            function: "counter".into(),
            unit: "u".into(),
            version,
            at: at.now,
            cause: String::new(),
            seen: seen.to_string(),
            record: Some(serde_json::to_string(&record).unwrap()),
        });
        let said = |(n, said): (usize, Said)| {
            event(&format!("counter/u/{version}/{n}"), &said.subject, said.link, said.data)
        };
        self.said.push(decision.facts.into_iter().enumerate().map(said).collect());
        self.told.push(told);
        self.state = after;
    }

    fn lives(seen: impl IntoIterator<Item = u64>) -> Self {
        let mut unit = Self::default();
        let asked = request();
        let Some(input) = Input::from_data(&asked.data) else { panic!("it is taken") };
        let told = Told { input, id: asked.id.clone(), time: asked.time, link: asked.then() };
        unit.decides(&Cause::Told(told), Some(asked), 1);
        let key = Counter { times: 1 }.key("u", &1);
        unit.decides(&Cause::Failed(Failure { key, error: "no".into(), attempts: 3 }), None, 0);
        for seen in seen {
            unit.decides(&Cause::Woken, None, seen);
        }
        unit
    }

    fn again(&self, times: u64) -> Vec<Result<Twice, String>> {
        let states = states(&self.rows, Some(self.state.clone()));
        let past = |n: usize| Past {
            row: &self.rows[n],
            states: states[n].as_ref(),
            told: self.told[n].as_ref(),
            said: &self.said[n],
        };
        let replayed = |n| again(&Counter { times }, &past(n)).map_err(|error| error.to_string());
        (0..self.rows.len()).map(replayed).collect()
    }

    fn differ(&self, times: u64) -> Vec<bool> {
        self.again(times).into_iter().map(|twice| twice.unwrap().differs()).collect()
    }
}

#[test]
fn the_same_function_decides_the_same_whatever_the_cause() {
    let unit = Unit::lives(0..40);
    assert_eq!(unit.differ(1), [false; 42]);
    let pieces = unit.rows.iter().filter(|row| row.record.as_ref().unwrap().contains("\"piece\"")).count();
    assert!(pieces == 0, "a short state is held whole");
}

#[test]
fn another_function_differs_where_it_decides_otherwise() {
    let unit = Unit::lives([0, 5, 0]);
    assert_eq!(unit.differ(2), [true, false, false, true, false], "what was before is as it was then");
    let twice = unit.again(2).remove(0).unwrap();
    assert_eq!((&twice.then["state"]["sum"], &twice.now["state"]["sum"]), (&json!(1), &json!(2)));
    assert_eq!((&twice.then["effects"], &twice.now["effects"]), (&json!([1]), &json!([2])));
    assert_eq!(twice.then["facts"], twice.now["facts"]);
    assert_eq!(twice.then["facts"][0]["subject"], "mona");
}

#[test]
fn a_long_state_is_pieced_together_from_the_decisions_after_it() {
    let unit = Unit::lives(10_000..10_300);
    let pieces = unit.rows.iter().filter(|row| row.record.as_ref().unwrap().contains("\"piece\"")).count();
    assert!(pieces > 200, "{pieces} pieces of {}", unit.rows.len());
    assert!(unit.differ(1).iter().all(|differs| !differs));
    let before = states(&unit.rows, Some(unit.state.clone()))[200].clone().unwrap().0;
    assert_eq!(state_before(&unit.rows[200..], Some(unit.state.clone())), Some(before.clone()));
    assert_eq!(state_before(&unit.rows[200..230], None), Some(before), "one of 16 is whole");
    assert_eq!(state_before(&unit.rows[290..], None), None);
}

#[test]
fn what_an_older_release_wrote_is_not_guessed_and_nor_is_what_depends_on_it() {
    let mut unit = Unit::lives([1, 2, 3]);
    unit.rows[2].record = None;
    let again = unit.again(1);
    assert!(again[2].as_ref().unwrap_err().contains("older release"), "{:?}", again[2]);
    assert!(again[1].as_ref().unwrap_err().contains("not kept any more"), "what it left is not known");
    for n in [0, 3, 4] {
        assert!(!again[n].as_ref().unwrap().differs(), "{n}");
    }
}

/// Rows are kept for 30 days: a build reads those of the release before. These never change; new fields have defaults.
#[test]
fn what_the_first_release_kept_of_a_decision_is_read_for_ever() {
    let unit = Unit::lives([1]);
    let stored = [
        r#"{"before":{"whole":""},"after":17799667205685114023,"cause":{"told":"asked"},"lease":{"free":7},"effects":[1],"facts":1,"wake":"1970-01-01T00:00:05Z","hold_lease":true,"relied_on":[{"kind":"k","subject":"s","event":"asked"}]}"#,
        r#"{"before":{"whole":"{\"past\":[0],\"sum\":1}"},"after":10775443936174787204,"cause":{"failed":{"key":{"function":"counter","unit":"u","name":"n","kind":"named","restoring":false},"error":"no","attempts":3}},"lease":{"free":7},"stopped":true,"facts":0,"wake":"1970-01-01T00:00:05Z"}"#,
        r#"{"before":{"whole":"{\"past\":[0,1],\"sum\":4}"},"after":3425655229442182513,"cause":"woken","lease":{"free":7},"facts":0,"wake":"1970-01-01T00:00:05Z","hold_lease":true}"#,
    ];
    for (row, stored) in unit.rows.iter().zip(stored) {
        assert_eq!(row.record.as_deref(), Some(stored));
    }
    let piece = r#"{"before":{"piece":{"head":1,"tail":2,"was":"x"}},"after":1,"cause":"done","lease":"none","again":true}"#;
    for lease in ["\"none\"", "{\"mine\":1}", "\"theirs\""] {
        let row = DecisionRow { record: Some(piece.replace("\"none\"", lease)), ..unit.rows[0].clone() };
        record::<u64>(&row).unwrap();
    }
}

#[test]
fn a_gap_between_rows_is_noticed() {
    let mut unit = Unit::lives(10_000..10_100);
    drop(unit.rows.remove(60));
    let again = states(&unit.rows, Some(unit.state.clone()));
    assert!(again[59].is_none(), "what it left is not the state before the next row that there is");
    assert!(again[60].is_some() && again[30].is_some());
}

#[test]
fn an_event_that_is_not_at_hand_is_named() {
    let mut unit = Unit::lives([]);
    assert_eq!(refers(&unit.rows[0]).told, Some(request().id));
    assert_eq!(refers(&unit.rows[0]).said, [EventId::new("counter/u/1/0").unwrap()]);
    assert_eq!(refers(&unit.rows[1]), Refers::default());
    let said = std::mem::take(&mut unit.said[0]);
    assert!(unit.again(1)[0].as_ref().unwrap_err().contains("not in the journal"));
    (unit.said[0], unit.told[0]) = (said, None);
    assert!(unit.again(1)[0].as_ref().unwrap_err().contains("not in the journal"));
}

#[test]
fn only_a_reference_is_taken_for_one() {
    let reference = elsewhere(&BlobRef::of(b"x"));
    assert_eq!(blob(&reference), Some(BlobRef::of(b"x")));
    for text in ["", "{}", "{\"blob\":\"x\"}", &reference.replace('}', ",\"more\":1}")] {
        assert_eq!(blob(text), None, "{text}");
    }
}

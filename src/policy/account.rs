//! A limit whose way of charging nobody told: several readings of it, of which the one that foretells
//! the server's word best is believed.

use super::budget::{Budget, Cost, Receipt as Entry, Rule};
use crate::clock::Time;
use crate::wire::headers::Level;
use std::time::Duration;

/// How a limit of tokens may be charged.
const TOKENS: &[Rule] = &[Rule::Most, Rule::GivenBack, Rule::Foreseen, Rule::AtEnd];
/// How many tests of a reading must have been made, and how many are remembered. Source: simulation
/// of servers of all four kinds.
const ENOUGH: f64 = 4.0;
const MEMORY: f64 = 20.0;
/// A reading may be right if it was wrong by no more than the best: by this factor more after one
/// test, by less after more of them, and by what rounding does.
const DOUBT: f64 = 8.0;
const ROUNDING: f64 = 2.0;
/// Where calls write nearly all that they may, all readings come to the same, and the one that is
/// documented is taken: below this factor between what they may cost and what they do.
const WORTHWHILE: f64 = 1.3;
const CALLS: f64 = 100.0;
/// Refusals that rule a reading out for good, if they cannot be by its rule.
const REFUTED: u32 = 3;

/// A limit of a server, whatever its way of charging.
///
/// A request is one request, so a limit of requests has one reading. A limit of tokens has four,
/// each a budget of its own that is charged and corrected by its rule. What the server tells to be
/// left shows at each answer how wrong each of them was.
#[derive(Debug)]
pub struct Account {
    readings: Vec<Reading>,
    /// When the server first told what is left: the readings begin together there.
    told_at: Option<Time>,
    /// What calls may cost and what they most likely do, on an average of the last ones.
    mean: Cost,
}

#[derive(Debug)]
struct Reading {
    budget: Budget,
    /// How often it was put to the test.
    tests: f64,
    /// By how much it was wrong, on an average of the last times.
    wrong: f64,
    /// Refusals that cannot have been by this rule.
    refuted: u32,
    /// Whether it may be right.
    is_likely: bool,
}

/// What a call was charged in each reading.
#[derive(Debug)]
pub struct Receipt(Box<[Entry]>);

impl Account {
    /// A limit of requests.
    pub fn of_requests(budget: Budget) -> Account {
        Account {
            readings: vec![Reading { budget, tests: 0.0, wrong: 0.0, refuted: 0, is_likely: true }],
            told_at: None,
            mean: Cost::default(),
        }
    }

    /// A limit of tokens; `budget` makes the one of each reading.
    pub fn of_tokens(budget: impl Fn() -> Budget) -> Account {
        let reading = |&rule: &Rule| Reading {
            budget: budget().by(rule),
            tests: 0.0,
            wrong: 0.0,
            refuted: 0,
            is_likely: true,
        };
        let readings = TOKENS.iter().map(reading).collect();
        let mut account = Account { readings, told_at: None, mean: Cost::default() };
        // As long as the server tells nothing, what calls used is all that is known.
        let is_told = account.readings[0].budget.is_told();
        account.believe(if is_told { Rule::Most } else { Rule::Foreseen });
        account
    }

    /// The rate in force, a minute.
    pub fn per_minute(&self) -> f64 {
        self.readings[0].budget.per_minute()
    }

    /// Changes all readings alike.
    pub fn change(&mut self, change: impl Fn(&mut Budget)) {
        self.readings.iter_mut().for_each(|reading| change(&mut reading.budget));
    }

    /// How long a call has to wait, by all readings that may be right; see [`Budget::wait`].
    pub fn wait(&mut self, now: Time, cost: Cost) -> Duration {
        let likely = self.readings.iter_mut().filter(|each| each.is_likely);
        likely.map(|each| each.budget.wait(now, cost)).max().unwrap_or_default()
    }

    /// Charges a call; see [`Budget::charge`].
    pub fn charge(&mut self, now: Time, cost: Cost) -> Receipt {
        self.mean.most += (cost.most - self.mean.most) / CALLS;
        self.mean.likely += (cost.likely - self.mean.likely) / CALLS;
        let entries = self.readings.iter_mut().map(|each| {
            // Those that nobody asked have not seen what was refilled.
            if !each.is_likely {
                each.budget.look(now);
            }
            each.budget.charge(now, cost)
        });
        Receipt(entries.collect())
    }

    /// The call was never sent.
    pub fn cancel(&mut self, now: Time, receipt: &Receipt) {
        for (reading, entry) in self.readings.iter_mut().zip(&receipt.0) {
            reading.budget.cancel(now, *entry);
        }
    }

    /// Corrects what a call was charged by what it really used.
    pub fn settle(&mut self, receipt: &Receipt, used: f64) {
        for (reading, entry) in self.readings.iter_mut().zip(&receipt.0) {
            reading.budget.settle(*entry, used);
        }
    }

    /// Takes over what the server says in its answer to a call; see [`Budget::learn`].
    pub fn learn(
        &mut self,
        now: Time,
        level: &Level,
        receipt: &Receipt,
        sent_at: Time,
        is_refusal: bool,
    ) {
        let is_test = !is_refusal && self.told_at.is_some_and(|told_at| sent_at > told_at);
        for (reading, entry) in self.readings.iter_mut().zip(&receipt.0) {
            let surprise = reading.budget.learn(now, level, *entry, sent_at);
            if let Some(surprise) = surprise.filter(|_| is_test) {
                reading.tests += 1.0;
                reading.wrong += (surprise.abs() - reading.wrong) / reading.tests.min(MEMORY);
            }
            // Enough was left, if calls cost as little as this.
            let enough = 2.0 * entry.cost() + ROUNDING;
            if is_refusal && level.remaining.is_some_and(|left| left as f64 >= enough) {
                reading.refuted += 1;
            }
        }
        if self.readings.len() == 1 || level.remaining.is_none() {
            return;
        }
        if self.told_at.is_none() {
            self.told_at = Some(now);
            self.believe(Rule::Most);
        }
        self.choose();
    }

    /// Leaves those readings that may be right, given how wrong each has been.
    fn choose(&mut self) {
        let tests = self.readings[0].tests;
        if tests < ENOUGH {
            return;
        }
        if self.mean.most < WORTHWHILE * self.mean.likely {
            return self.believe(Rule::Most);
        }
        let left = self.readings.iter().filter(|each| each.refuted < REFUTED);
        let least = left.map(|each| each.wrong).fold(f64::MAX, f64::min);
        let most = least * (1.0 + DOUBT / tests) + ROUNDING;
        for reading in &mut self.readings {
            reading.is_likely = reading.wrong <= most && reading.refuted < REFUTED;
        }
    }

    fn believe(&mut self, rule: Rule) {
        for reading in &mut self.readings {
            reading.is_likely = reading.budget.rule() == rule;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_origin(Duration::from_secs_f64(seconds))
    }

    /// A bucket of a server that is refilled by 1,000 tokens a second, of which a call may cost 400
    /// and costs 100, for a second.
    fn run(rule: Rule) -> (Account, Vec<(Rule, bool)>) {
        let mut account =
            Account::of_tokens(|| Budget::stated(60_000.0, Duration::from_secs(60), at(0.0)));
        let cost = Cost { most: 400.0, likely: 100.0 };
        let mut level = 25_000.0;
        let mut open: Vec<(f64, Receipt, f64)> = Vec::new();
        // A second and a half of calls and as much of none: in a steady flow all rules look the same.
        for step in 0..300 {
            let now = f64::from(step) * 0.1;
            level += 100.0;
            for (_, receipt, left) in open.extract_if(.., |(due, ..)| *due <= now) {
                level += match rule {
                    Rule::GivenBack => 300.0,
                    Rule::AtEnd => -100.0,
                    _ => 0.0,
                };
                let told = Level { limit: Some(60_000), remaining: Some(left as u64), reset: None };
                account.learn(at(now), &told, &receipt, at(now - 1.0), false);
                account.settle(&receipt, 100.0);
            }
            if step / 15 % 2 == 0 && step % 2 == 0 {
                let receipt = account.charge(at(now), cost);
                level -= match rule {
                    Rule::Most | Rule::GivenBack => 400.0,
                    Rule::Foreseen => 100.0,
                    Rule::AtEnd => 0.0,
                };
                open.push((now + 1.0, receipt, level));
            }
        }
        let likely = account.readings.iter().map(|each| (each.budget.rule(), each.is_likely));
        let likely = likely.collect();
        (account, likely)
    }

    #[test]
    fn the_rule_by_which_a_server_charges_stays_likely_by_what_it_tells_to_be_left() {
        for rule in TOKENS {
            let (_, likely) = run(*rule);
            assert!(likely.contains(&(*rule, true)), "{rule:?}: {likely:?}");
        }
    }

    #[test]
    fn a_refusal_that_cannot_be_by_a_rule_rules_it_out() {
        let (mut account, _) = run(Rule::AtEnd);
        for n in 0..3 {
            let now = 40.0 + f64::from(n);
            let receipt = account.charge(at(now), Cost { most: 400.0, likely: 100.0 });
            let told = Level { limit: Some(60_000), remaining: Some(399), reset: None };
            account.learn(at(now), &told, &receipt, at(now), true);
        }
        let likely: Vec<Rule> = account
            .readings
            .iter()
            .filter(|each| each.is_likely)
            .map(|each| each.budget.rule())
            .collect();
        assert!(!likely.is_empty());
        assert!(!likely.contains(&Rule::AtEnd) && !likely.contains(&Rule::Foreseen), "{likely:?}");
    }

    #[test]
    fn where_calls_write_all_that_they_may_the_documented_rule_is_taken() {
        let mut account =
            Account::of_tokens(|| Budget::stated(60_000.0, Duration::from_secs(60), at(0.0)));
        for n in 0..50 {
            let now = f64::from(n) * 0.1;
            let receipt = account.charge(at(now), Cost::exact(100.0));
            let told = Level { limit: Some(60_000), remaining: Some(30_000), reset: None };
            account.learn(at(now), &told, &receipt, at(now), false);
        }
        let likely = |each: &&Reading| each.is_likely;
        let rules: Vec<Rule> =
            account.readings.iter().filter(likely).map(|each| each.budget.rule()).collect();
        assert_eq!(rules, [Rule::Most]);
    }
}

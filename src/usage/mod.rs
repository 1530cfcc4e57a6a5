//! What a request costs.
//!
//! - `weight` - what it weighs against the rate limits.
//! - `outputs` - how much models write, as seen so far.
//! - `money` - amounts of money, exact.
//! - `prices` - what a token of each model costs: [`Prices`].
//! - `price_file`, `litellm` - the formats of price files; `prices.json` is in the first one.
//! - `cost` - what an answer cost.
//! - `bound` - what a request may cost at most: [`Reach`].
//! - `ledger` - what was spent against a cap, and what may still be spent.
//! - `purse` - a ledger that many share: [`Purse`].

mod bound;
mod cost;
mod ledger;
mod litellm;
mod money;
mod outputs;
mod price_file;
mod prices;
mod purse;
mod weight;

pub use bound::Reach;
pub use cost::{Cost, cost, cost_of_answer};
pub use ledger::{Amount, Capped, Caps, Ledger, Most, Short, Standing};
pub use money::Money;
pub use outputs::Outputs;
pub use prices::{ModelPrice, Prices, Rates, Tier};
pub use purse::{Lack, Purse, Reservation};
pub use weight::{Weight, weigh};

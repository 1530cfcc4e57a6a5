//! What a request costs.
//!
//! - `weight` - what it weighs against the rate limits.
//! - `outputs` - how much models write, as seen so far.
//! - `tokens` - text to tokens, exactly: [`Encoding`].
//! - `request` - the tokens of a request: [`count_request`].
//! - `money` - amounts of money, exact.
//! - `prices` - what a token of each model costs: [`Prices`].
//! - `price_file`, `litellm` - the formats of price files; `prices.json` is in the first one.
//! - `models` - how much each model reads and writes at most: [`model_limits`].
//! - `cost` - what an answer cost.
//! - `bound` - what a request may cost at most: [`Reach`].
//! - `ledger` - what was spent against a cap, and what may still be spent.
//! - `walk` - through a JSON value of any shape.
//! - `purse` - a ledger that many share: [`Purse`].

mod bound;
mod cost;
mod ledger;
mod litellm;
mod models;
mod money;
mod outputs;
mod price_file;
mod prices;
mod purse;
mod request;
mod tokens;
mod walk;
mod weight;

pub use bound::Reach;
pub use cost::{Cost, cost, cost_of_answer};
pub use ledger::{Amount, Capped, Caps, Ledger, Most, Short, Standing};
pub use models::{ModelLimits, model_limits};
pub use money::Money;
pub use outputs::Outputs;
pub use prices::{ModelPrice, Prices, Rates, Tier};
pub use purse::{Lack, Purse, Reservation};
pub use request::{Detail, Doubt, Doubts, RequestTokens, count_request, image_tokens};
use tokens::base_model;
pub use tokens::{Encoding, TextCount};
pub use weight::{Weight, weigh};

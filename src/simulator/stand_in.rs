use super::Simulator;
use crate::client::Client;
use crate::config::{ApiKey, Config};
use crate::error::Result;

/// A client as the environment says, or one of a simulator where no key is set.
///
/// Keep the simulator for as long as the client is used. Examples and first tries start with this.
///
/// # Errors
/// When a setting of the environment is not valid, or no port is free.
pub fn client_or_simulator() -> Result<(Client, Option<Simulator>)> {
    let config = Config::from_env()?;
    if config.load_key().is_ok_and(|key| key.is_some()) {
        return Ok((Client::new(config)?, None));
    }
    let simulator = Simulator::start()?;
    let config = Config::new().base_url(simulator.base_url()).api_key(ApiKey::new("sk-simulated")?);
    Ok((Client::new(config)?, Some(simulator)))
}

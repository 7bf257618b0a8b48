//! The command line of `emotrain selftest`.

use clap::Args;
use emotrain_recipe::DeviceChoice;

#[derive(Args, Debug)]
#[command(
    after_help = "Trains, scores and generates with a tiny model on the device and on the CPU in float32. Exits with code 3
if a deviation exceeds its tolerance.

Examples:
  emotrain selftest --device cuda
  emotrain selftest --device cpu --json"
)]
pub(crate) struct SelftestArgs {
    /// The device: cpu, wgpu or cuda, or one of several, as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

//! `doctor`: the installation that is looked at, as flags.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use node_annotator_core::Prefix;
use node_annotator_deploy::Installation;

use crate::cluster;
use crate::doctor::{Settings, diagnose, render};
use crate::exit::Exit;
use crate::output::{Format, print};

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct DoctorOptions {
    /// The namespace that it is installed in, as given to `manifests`
    #[arg(long, default_value_t)]
    namespace: Installation,

    /// The domain that all keys begin with
    #[arg(long, env = "NODE_ANNOTATOR_PREFIX", default_value_t)]
    prefix: Prefix,

    /// The kubeconfig of an administrator, instead of KUBECONFIG or the pod's service account
    #[arg(long, env = "NODE_ANNOTATOR_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const NOTES: &str = "\
Nothing is written: what is tried in the name of the service accounts is a dry run.

Exit codes:
  0  everything holds; there may be warnings
  1  unexpected: a defect, or an output that cannot be written
  2  the command line is wrong; nothing was checked
  3  something does not hold
  4  something could not be checked, such as for want of rights; the rest holds";

/// Makes all checks and prints them.
pub(super) fn start(options: &DoctorOptions) -> anyhow::Result<Exit> {
    let DoctorOptions { namespace, prefix, kubeconfig, output } = options;
    let settings = Settings { installation: namespace.clone(), prefix: prefix.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let diagnosis = runtime
        .block_on(async { diagnose(cluster::configuration(kubeconfig.as_deref()).await, &settings).await });
    runtime.shutdown_background();
    print(&render(&diagnosis, *output)).context("cannot write to stdout")?;
    Ok(diagnosis.exit())
}

//! What comes from outside the process: the environment, read once at the start, and the clock.

use std::ffi::OsString;
use std::path::PathBuf;

use emotrain_base::limits;
use emotrain_hub::HubSettings;

/// What emotrain takes from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Env {
    /// Where models from a hub are kept: `HF_HUB_CACHE`, or `hub` under `HF_HOME`, or the customary place under the
    /// home directory. `HF_ENDPOINT` is a mirror; `HF_TOKEN`, or what is kept at `HF_TOKEN_PATH`, lets private models
    /// in; `HF_HUB_DOWNLOAD_TIMEOUT` says in seconds how long the hub may be silent; `HF_HUB_OFFLINE`, or where that is
    /// not set `TRANSFORMERS_OFFLINE`, forbids to fetch anything.
    pub(crate) hub: HubSettings,
    /// `NO_COLOR`: no colours, though bars may move.
    pub(crate) no_color: bool,
    /// `TERM=dumb`: a terminal that can do neither.
    pub(crate) dumb: bool,
    /// The task of a Slurm array that this process is, as `17_3`: `SLURM_ARRAY_JOB_ID` and `SLURM_ARRAY_TASK_ID`.
    pub(crate) slurm_task: Option<String>,
}

impl Env {
    /// Reads the environment of the process.
    pub(crate) fn read() -> Self {
        Self::from(|name| std::env::var_os(name), std::env::home_dir())
    }

    fn from(get: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| get(name).and_then(|value| value.into_string().ok());
        let caches = get("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home?.join(".cache")));
        let hf_home = get("HF_HOME").map(PathBuf::from).or_else(|| Some(caches?.join("huggingface")));
        let truth = ["1", "on", "yes", "true"];
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| get(name).is_some());
        let is_on =
            |name: &&str| text(name).is_some_and(|value| truth.contains(&value.to_lowercase().as_str()));
        let kept = |name: &str| Some(hf_home.as_ref()?.join(name));
        // What cannot be used is for the hub to refuse, by the variable's name.
        let written = |name: &str| get(name).map(|value| value.to_string_lossy().into_owned());
        let hub = HubSettings {
            cache: get("HF_HUB_CACHE").map(PathBuf::from).or_else(|| kept("hub")),
            endpoint: written("HF_ENDPOINT").map(|url| url.trim_end_matches('/').to_owned()),
            token: written("HF_TOKEN"),
            token_file: get("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| kept("token")),
            patience: written("HF_HUB_DOWNLOAD_TIMEOUT"),
            offline: offline.filter(is_on),
        };
        Self {
            hub,
            no_color: get("NO_COLOR").is_some(),
            slurm_task: text("SLURM_ARRAY_JOB_ID")
                .zip(text("SLURM_ARRAY_TASK_ID"))
                .map(|(job, task)| format!("{job}_{task}")),
            dumb: text("TERM").is_some_and(|terminal| terminal == "dumb"),
        }
    }
}

/// A variable that a recipe names. Empty ones count as not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The name of this machine, if the system tells it in a file.
pub(crate) fn host() -> Option<String> {
    let name = emotrain_base::read_to_string("/proc/sys/kernel/hostname".as_ref(), limits::CONFIG).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A folder of this process for what is needed for a moment; it does not exist yet.
pub(crate) fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("emotrain-{}", std::process::id()))
}

/// The peak memory of this process in MiB, if the system reports it.
pub(crate) fn peak_memory_mib() -> Option<f64> {
    let status = emotrain_base::read_to_string("/proc/self/status".as_ref(), limits::CONFIG).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// Whether the process was started with this signal ignored, as by nohup; `false` if the system does not report it.
#[cfg(unix)]
pub(crate) fn ignores(signal: i32) -> bool {
    let status =
        emotrain_base::read_to_string("/proc/self/status".as_ref(), limits::CONFIG).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Env::from(get, Some(PathBuf::from("/home/ada")))
    }

    #[test]
    fn the_cache_is_found_as_other_tools_find_it() {
        let cache = |variables: &[(&str, &str)]| env(variables).hub.cache.unwrap();
        assert_eq!(cache(&[]), PathBuf::from("/home/ada/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), PathBuf::from("/x/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h")]), PathBuf::from("/h/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), PathBuf::from("/c"));
        let token = |variables: &[(&str, &str)]| env(variables).hub.token_file.unwrap();
        assert_eq!(token(&[("HF_HUB_CACHE", "/c")]), PathBuf::from("/home/ada/.cache/huggingface/token"));
        assert_eq!(token(&[("HF_HOME", "/h")]), PathBuf::from("/h/token"));
        assert_eq!(token(&[("HF_HOME", "/h"), ("HF_TOKEN_PATH", "/t")]), PathBuf::from("/t"));
    }

    #[test]
    fn switches_are_on_when_they_say_so() {
        let offline = |variables: &[(&str, &str)]| env(variables).hub.offline;
        for on in ["1", "ON", "yes", "True"] {
            assert_eq!(offline(&[("HF_HUB_OFFLINE", on)]), Some("HF_HUB_OFFLINE"), "{on}");
            assert_eq!(offline(&[("TRANSFORMERS_OFFLINE", on)]), Some("TRANSFORMERS_OFFLINE"), "{on}");
        }
        for off in ["", "0", "off", "no", "false", "2"] {
            assert_eq!(offline(&[("HF_HUB_OFFLINE", off)]), None, "{off}");
            assert_eq!(offline(&[("TRANSFORMERS_OFFLINE", off)]), None, "{off}");
        }
        // The hub's own variable decides where both are set, as in huggingface_hub.
        assert_eq!(offline(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]), None);
        assert!(offline(&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "1")]).is_some());
        assert!(env(&[("TERM", "dumb")]).dumb);
        assert!(env(&[("NO_COLOR", "1")]).no_color && !env(&[("NO_COLOR", "")]).no_color);
        let slurm = [("SLURM_ARRAY_JOB_ID", "17"), ("SLURM_ARRAY_TASK_ID", "3")];
        assert_eq!((env(&slurm).slurm_task.as_deref(), env(&slurm[..1]).slurm_task), (Some("17_3"), None));
        assert_eq!(env(&[("HF_ENDPOINT", "http://m/")]).hub.endpoint.unwrap(), "http://m");
    }
}

//! Errors of the core as Python exceptions of `kpx.errors`.

use kpx_conntrack::FlushError;
use kpx_dns::{ServerError, ZoneConfigError};
use kpx_nftables::{CommitError, ObserveError};
use kpx_proxy::explain::ExplainError;
use kpx_proxy::{ApplyError, ConfigError, DecodeError, SyncError, error_chain};
use pyo3::{PyErr, import_exception};

import_exception!(kpx.errors, CommitFailed);
import_exception!(kpx.errors, ConfigurationInvalid);
import_exception!(kpx.errors, DecodeFailed);
import_exception!(kpx.errors, ExplainFailed);
import_exception!(kpx.errors, FlushFailed);
import_exception!(kpx.errors, ListenFailed);
import_exception!(kpx.errors, ObserveFailed);
import_exception!(kpx.errors, QuestionInvalid);
import_exception!(kpx.errors, TakeOverFailed);

pub(crate) fn configuration_invalid(error: &ConfigError) -> PyErr {
    ConfigurationInvalid::new_err((error_chain(error), None::<&str>))
}

pub(crate) fn decode_failed(error: &DecodeError) -> PyErr {
    DecodeFailed::new_err((error_chain(error), None::<&str>))
}

pub(crate) fn explain_failed(error: &ExplainError) -> PyErr {
    ExplainFailed::new_err((error_chain(error), error.hint()))
}

pub(crate) fn flush_failed(error: &FlushError) -> PyErr {
    FlushFailed::new_err((error_chain(error), error.hint()))
}

pub(crate) fn observe_failed(error: &ObserveError) -> PyErr {
    ObserveFailed::new_err((error_chain(error), error.hint()))
}

pub(crate) fn commit_failed(error: &CommitError) -> PyErr {
    CommitFailed::new_err((error_chain(error), error.hint()))
}

pub(crate) fn take_over_failed(message: String, hint: Option<&'static str>) -> PyErr {
    TakeOverFailed::new_err((message, hint))
}

pub(crate) fn sync_failed(error: &SyncError<ObserveError, CommitError>) -> PyErr {
    match error {
        SyncError::Observe(error) => observe_failed(error),
        SyncError::Apply(error) => apply_failed(error),
    }
}

pub(crate) fn apply_failed(error: &ApplyError<CommitError>) -> PyErr {
    let hint = match error {
        ApplyError::Commit { source, .. } => source.hint(),
        _ => None,
    };
    CommitFailed::new_err((error_chain(error), hint))
}

pub(crate) fn dns_invalid(error: &ZoneConfigError) -> PyErr {
    ConfigurationInvalid::new_err((error_chain(error), None::<&str>))
}

pub(crate) fn listen_failed(error: &ServerError) -> PyErr {
    ListenFailed::new_err((error_chain(error), None::<&str>))
}

pub(crate) fn question_invalid(message: &str) -> PyErr {
    QuestionInvalid::new_err((message.to_owned(), None::<&str>))
}

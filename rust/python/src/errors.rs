//! Errors of the core as Python exceptions of `kpx.errors`.

use kpx_conntrack::FlushError;
use kpx_dns::{ServerError, ZoneConfigError};
use kpx_frames::DecodeError;
use kpx_ipvs::Refusal;
use kpx_proxy::explain::ExplainError;
use kpx_proxy::{ApplyError, ConfigError, SyncError, error_chain};
use pyo3::{PyErr, import_exception};

use crate::kernel::{ReadError, WriteError};

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

pub(crate) fn observe_failed(error: &ReadError) -> PyErr {
    ObserveFailed::new_err((error_chain(error), error.hint()))
}

pub(crate) fn commit_failed(error: &WriteError) -> PyErr {
    CommitFailed::new_err((error_chain(error), error.hint()))
}

pub(crate) fn take_over_failed(message: String, hint: Option<&'static str>) -> PyErr {
    TakeOverFailed::new_err((message, hint))
}

pub(crate) fn command_refused(refusal: &Refusal) -> PyErr {
    CommitFailed::new_err((error_chain(refusal), refusal.hint()))
}

pub(crate) fn sync_failed(error: &SyncError<ReadError, WriteError>) -> PyErr {
    match error {
        SyncError::Observe(error) => observe_failed(error),
        SyncError::Apply(error) => apply_failed(error),
    }
}

pub(crate) fn apply_failed(error: &ApplyError<WriteError>) -> PyErr {
    let hint = match error {
        ApplyError::Commit { source, .. } => source.hint().map(ToOwned::to_owned),
        ApplyError::Servers(refusals) => refusals.first().and_then(|first| first.hint.clone()),
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

//! Where faults and warnings are collected while the document is read.

use std::cell::RefCell;
use std::ops::Range;

use crate::matrix::diagnostics::Diagnostic;

/// Bytes of the file.
pub(in crate::matrix) type Span = Range<usize>;

/// Where faults and warnings are collected.
#[derive(Default)]
pub(in crate::matrix) struct Sink {
    faults: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl Sink {
    /// Adds something that makes the file unusable.
    pub fn fault(&self, diagnostic: Diagnostic) {
        self.faults.borrow_mut().push(diagnostic);
    }

    /// Adds something to think about.
    pub fn warn(&self, diagnostic: Diagnostic) {
        self.warnings.borrow_mut().push(diagnostic);
    }

    /// Everything collected: faults, warnings.
    pub fn into_inner(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        (self.faults.into_inner(), self.warnings.into_inner())
    }

    /// Number of faults so far.
    pub fn faults(&self) -> usize {
        self.faults.borrow().len()
    }
}

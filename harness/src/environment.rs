//! Facts about the machine: the environment of a run, and `doctor`.

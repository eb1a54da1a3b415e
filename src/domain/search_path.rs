//! The effective search path of a role, and what an unqualified name means to it.

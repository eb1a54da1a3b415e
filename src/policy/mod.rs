//! What should be: the policy file and the checks against it.

//! Service provisioning and migration on modelled infrastructure.

//! Throwaway PostgreSQL clusters with the fleet of the documents.

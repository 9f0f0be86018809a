//! The report of made-up studies: what a reader must find on the page, and
//! which folders must not become a page.

mod exports;
mod index;
mod languages;
mod provenance;
mod records;
mod study;
mod well_formed;
mod words;

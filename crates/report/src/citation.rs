//! How to name a report: by its id, and with what makes it again.

use adamix_record::Text;
use serde::Serialize;

use crate::load::Experiment;

/// A report's entry for BibTeX and as a citation file.
#[derive(Serialize)]
pub(crate) struct Citation {
    pub(crate) bibtex: String,
    pub(crate) cff: String,
    /// Commits of the programs that wrote the records.
    pub(crate) commits: Vec<String>,
}

impl Citation {
    pub(crate) fn of(experiment: &Experiment, title: &Text) -> Self {
        let (plan, id) = (&experiment.plan, &experiment.id);
        let mut commits: Vec<String> = Vec::new();
        for (environment, _, _) in experiment.environments() {
            let changed = if environment.dirty {
                ", with changes"
            } else {
                ""
            };
            let commit = environment.commit.as_deref().unwrap_or("unknown");
            let commit = format!("{commit}{changed}");
            if !commits.contains(&commit) {
                commits.push(commit);
            }
        }
        // Nothing here has a clock: the day of the newest of the commits that wrote
        // the records and timed the updates.
        let records = experiment.environments().into_iter();
        let records = records.map(|(environment, ..)| environment);
        let timed = experiment.cost.iter().map(|cost| &cost.environment);
        let dates = records
            .chain(timed)
            .filter_map(|environment| environment.commit_date.as_deref());
        let date = dates.max();
        let year = date.and_then(|date| date.split_once('-'));
        let year = year.map_or_else(String::new, |(year, _)| format!("  year = {{{year}}},\n"));
        let released = date.map_or_else(String::new, |date| format!("date-released: {date}\n"));
        let mut commit = match commits.as_slice() {
            [] => "no record yet".to_owned(),
            commits => format!("commit {}", commits.join("; ")),
        };
        let timed = experiment.cost.as_ref();
        if let Some(timed) = timed.and_then(|cost| cost.environment.commit.as_deref()) {
            commit += &format!(", updates timed by commit {timed}");
        }
        let (command, name) = (&plan.command, &plan.name);
        let braced: String = title.en.chars().filter(|c| !"{}\\".contains(*c)).collect();
        let quoted = title.en.replace('\\', "\\\\").replace('"', "\\\"");
        Self {
            bibtex: format!(
                "@misc{{adamix-{id},\n  author = {{{{The adamix developers}}}},\n  \
                 title = {{{{{braced}}}}},\n{year}  \
                 note = {{adamix report {id}, experiment {name}, {commit}, made by: {command}}},\n}}"
            ),
            cff: format!(
                "cff-version: 1.2.0\nmessage: If you use this report, please cite it as below.\n\
                 type: dataset\ntitle: \"{quoted}\"\nauthors:\n  - name: The adamix developers\n\
                 identifiers:\n  - type: other\n    value: adamix-report:{id}\n    \
                 description: SHA-256 over the plan, its records, anchors and costs, first 16 digits\n\
                 {released}license:\n  - MIT\n  - Apache-2.0\nabstract: \"Experiment {name}, {commit}; \
                 made by: {command}\""
            ),
            commits,
        }
    }
}

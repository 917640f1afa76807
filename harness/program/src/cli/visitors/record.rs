//! The record of a run with visitors: written while it lasts, rendered at its end.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use wsceiling_model::visitors::{ServerRow, VISITORS_FORMAT, VisitorsHeader, VisitorsLine};
use wsceiling_report as render;
use wsceiling_runfolder::{VisitorsRun, VisitorsWriter};
use wsceiling_scrape::Row;
use wsceiling_visitors::{Collector, LivePage, POLL_MS, SILENT_MS, VALID_MS};

/// Starts the record.
pub(super) fn create(
    reports: &Path,
    collector: &Collector,
    sources: Vec<String>,
) -> Result<(VisitorsWriter, VisitorsHeader)> {
    let options = collector.options();
    let header = VisitorsHeader {
        format: VISITORS_FORMAT,
        wsceiling: env!("CARGO_PKG_VERSION").to_owned(),
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        name: "visitors".to_owned(),
        target: options.target.clone(),
        sites: options.sites.clone(),
        setting: options.setting,
        byte_budget: options.byte_budget,
        poll_ms: POLL_MS,
        valid_ms: VALID_MS,
        silent_ms: SILENT_MS,
        sources,
    };
    Ok((VisitorsWriter::create(reports, &header)?, header))
}

/// A reading of the server as a line.
pub(super) fn server_row(row: &Row) -> ServerRow {
    let values = row.sample.values.iter().map(|(metric, value)| (metric.name().to_owned(), *value)).collect();
    ServerRow { t_ms: row.sample.t_ms, component: row.sample.component, values }
}

/// What makes the page of a run that goes on.
pub(super) fn live_page(header: VisitorsHeader) -> Arc<LivePage> {
    Arc::new(move |lines: &[VisitorsLine]| {
        let findings = wsceiling_analysis::visitors(&header, lines);
        render::visitors_page(&findings)
            .unwrap_or_else(|error| format!("the page could not be made: {error}").replace('<', "&lt;"))
    })
}

/// Renders the report of such a run; its first line.
pub(in crate::cli) fn render(folder: &Path) -> Result<String> {
    let run = VisitorsRun::open(folder)?;
    let findings = wsceiling_analysis::visitors(&run.header, &run.lines);
    render::render_visitors(&findings, &mut crate::files::below(folder))
        .with_context(|| format!("failed to render the report of {}", folder.display()))?;
    Ok(render::visitors_line(&findings))
}

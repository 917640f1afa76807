//! The first page of a report: every verdict in one table, then the plots, then where it ran.

use serde::Serialize;

use super::environment::{self, Group};
use super::scaling::{self, ScalingView};
use super::walls::{self, WallRow};
use super::{Fact, FigureView, LegendRow, Link, Pages, RunPage, document, links, overview, raw_data};
use crate::cost_words;
use crate::describe::{self, Badge};
use crate::elsewhere;
use crate::output::Output;
use crate::plot::{self, CostLine, CostShape, Figure};
use crate::text;
use crate::{INDEX, RenderError};
use wsceiling_analysis::{CellFindings, Estimate, Findings};
use wsceiling_model::format::Unit;
use wsceiling_model::record::{Cause, Outcome};

/// Cells that share one plot of costs at most; more would not be told apart.
const CELLS_A_PLOT: usize = 8;
/// Bars in one plot of ceilings at most.
const BARS_A_PLOT: usize = 40;
/// Characters of the cause in the table; the cell's page has the whole sentence.
const WHY_CHARS: usize = 180;

#[derive(Serialize)]
struct IndexPage {
    title: String,
    root: &'static str,
    started: String,
    version: String,
    machine: String,
    /// What the page answers, and about which machine.
    lead: &'static str,
    /// What happens after a step that failed.
    after_failure: &'static str,
    line: String,
    best: Option<String>,
    remarks: Vec<String>,
    with_price: bool,
    currencies: Option<&'static str>,
    groups: Vec<TargetGroup>,
    key: Vec<KeyRow>,
    scaling: Vec<ScalingView>,
    walls: Vec<WallRow>,
    sections: Vec<PlotSection>,
    over_time: overview::Overview,
    settings: Vec<Fact>,
    environment: Vec<Group>,
    facts: usize,
    binaries: Vec<Fact>,
    matrix_path: String,
    matrix_text: String,
    matrix_sha256: String,
    raw: Vec<Link>,
    command: String,
    commands: Vec<Fact>,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct TargetGroup {
    target: String,
    note: String,
    rows: Vec<Row>,
}

/// A row of the verdict table.
#[derive(Serialize)]
struct Row {
    id: String,
    href: String,
    set_up: String,
    badge: Badge,
    ceiling: Option<String>,
    interval: String,
    trials: String,
    why: String,
    disagreement: Option<String>,
    cause: Option<String>,
    limits: Option<String>,
    confidence: Option<&'static str>,
    hint: Option<String>,
    memory: String,
    memory_interval: String,
    cpu: String,
    cpu_interval: String,
    no_cpu: &'static str,
    price: String,
}

#[derive(Serialize)]
struct KeyRow {
    badge: Badge,
    meaning: &'static str,
}

#[derive(Serialize)]
struct PlotSection {
    id: &'static str,
    title: &'static str,
    figures: Vec<FigureView>,
    nothing: &'static str,
}

/// The first page.
pub const PAGE: RunPage = RunPage {
    templates: &[
        ("index.html", include_str!("../templates/index.html")),
        ("scaling.html", include_str!("../templates/scaling.html")),
        ("walls.html", include_str!("../templates/walls.html")),
    ],
    links: &[],
    write,
};

fn write(pages: &Pages, findings: &Findings, output: &mut Output<'_>) -> Result<(), RenderError> {
    let mut figures = Vec::new();
    let header = &findings.header;
    let page = IndexPage {
        title: text::one_line(&header.run.name),
        root: "",
        started: text::time(&header.started),
        version: text::one_line(&header.wsceiling),
        machine: environment::machine(findings),
        lead: elsewhere::lead(&findings.cells),
        after_failure: elsewhere::after_failure(&findings.cells),
        line: describe::run_in_a_line(findings),
        best: best(findings),
        remarks: findings.remarks.iter().map(|remark| text::sentence(remark)).collect(),
        with_price: findings.cells.iter().any(|cell| describe::price_per_thousand(cell).is_some()),
        currencies: describe::currencies(findings),
        groups: groups(findings),
        key: Outcome::ALL
            .into_iter()
            .filter(|outcome| findings.cells.iter().any(|cell| cell.outcome == *outcome))
            .map(|outcome| KeyRow { badge: describe::badge(outcome), meaning: describe::meaning(outcome) })
            .collect(),
        scaling: scaling::views(findings),
        walls: walls::rows(findings),
        sections: vec![
            ceilings(findings, &mut figures),
            costs(findings, &MEMORY, &mut figures),
            costs(findings, &CPU, &mut figures),
        ],
        over_time: overview::over_time(findings),
        settings: environment::settings(findings),
        environment: environment::groups(findings),
        facts: header.environment.facts.len(),
        binaries: header
            .binaries
            .iter()
            .map(|(target, sha)| Fact::new(&text::one_line(target), text::one_line(sha)))
            .collect(),
        matrix_path: text::one_line(&header.matrix_path),
        matrix_text: text::lines(&header.matrix_text),
        matrix_sha256: text::one_line(&header.matrix_sha256),
        raw: raw_data(""),
        command: describe::command(findings, None),
        commands: findings
            .cells
            .iter()
            .map(|cell| Fact::new(&cell.cell.id, describe::command(findings, Some(&cell.cell))))
            .collect(),
        links: links(),
    };
    output.put(INDEX, &pages.render("index.html", &page)?)?;
    output.put_plots(&figures)
}

/// The cell that held most, in words; nothing where several held as many.
fn best(findings: &Findings) -> Option<String> {
    let met = || findings.cells.iter().filter(|cell| describe::measured(cell));
    let held = || met().filter_map(|cell| Some((cell, cell.ceiling.as_ref()?)));
    let most = held().map(|(_, ceiling)| ceiling.connections).max()?;
    let mut best = held().filter(|(_, ceiling)| ceiling.connections == most);
    match (best.next(), best.next()) {
        (Some((cell, ceiling)), None) if held().count() > 1 => {
            Some(format!("{} held the most: {} connections.", cell.cell.id, describe::ceiling(ceiling)))
        }
        _ => None,
    }
}

fn groups(findings: &Findings) -> Vec<TargetGroup> {
    let mut groups: Vec<TargetGroup> = Vec::new();
    for cell in &findings.cells {
        let name = text::one_line(&cell.cell.target);
        if groups.last().is_none_or(|last| last.target != name) {
            let sha = findings.header.binaries.get(&cell.cell.target);
            let note = sha.map(|sha| format!("binary sha256 {}", sha.chars().take(12).collect::<String>()));
            groups.push(TargetGroup { target: name, note: note.unwrap_or_default(), rows: Vec::new() });
        }
        if let Some(last) = groups.last_mut() {
            last.rows.push(row(cell));
        }
    }
    groups
}

fn row(cell: &CellFindings) -> Row {
    let verdict = cell.verdict.as_ref().filter(|_| describe::measured(cell));
    let cause = verdict.filter(|verdict| verdict.cause != Cause::None);
    let (memory, cpu) = (cost_words::memory(cell), cost_words::cpu(cell));
    Row {
        id: cell.cell.id.clone(),
        href: format!("cells/{}.html", cell.cell.id),
        set_up: describe::set_up(cell),
        badge: describe::badge(cell.outcome),
        ceiling: cell.ceiling.as_ref().map(describe::ceiling),
        interval: cell.ceiling.as_ref().map(describe::ceiling_interval).unwrap_or_default(),
        trials: cell.ceiling.as_ref().map(describe::valid_trials).unwrap_or_default(),
        why: text::shorten(&text::sentence(&describe::why(cell)), WHY_CHARS),
        disagreement: describe::disagreement(cell),
        cause: cause.map(|verdict| verdict.cause.to_string()),
        limits: cause.and_then(|verdict| document::section(verdict.cause)),
        confidence: cause.map(|verdict| describe::confidence_short(verdict.confidence)),
        hint: cell
            .hint
            .as_ref()
            .map(|hint| text::sentence(&text::hint(hint, WHY_CHARS)))
            .filter(|_| !describe::measured(cell)),
        memory: cost_words::estimate(memory, Unit::Bytes),
        memory_interval: cost_words::interval(memory, Unit::Bytes),
        cpu: cost_words::estimate(cpu, Unit::Microcores),
        cpu_interval: cost_words::interval(cpu, Unit::Microcores),
        no_cpu: cost_words::no_cpu(cell),
        price: describe::price_words(cell),
    }
}

fn ceilings(findings: &Findings, figures: &mut Vec<Figure>) -> PlotSection {
    let ceilings = || findings.cells.iter().filter_map(|cell| cell.ceiling.as_ref());
    let best = ceilings().map(|ceiling| ceiling.high.unwrap_or(0).max(ceiling.connections)).max().unwrap_or(0);
    let cells: Vec<&CellFindings> = findings.cells.iter().collect();
    let mut views = Vec::new();
    let chunks = cells.chunks(BARS_A_PLOT).take(if best == 0 && ceilings().next().is_none() { 0 } else { usize::MAX });
    for (at, chunk) in chunks.enumerate() {
        let name = numbered("ceilings", at);
        let figure =
            Figure::draw(name, "Ceiling of each cell as a bar".into(), true, |form| plot::ceilings(form, chunk, best));
        views.push(FigureView::new(&figure, "", "", "", ""));
        figures.push(figure);
    }
    PlotSection {
        id: "ceilings",
        title: "Ceilings",
        figures: explained(views, CEILINGS_HOW),
        nothing: "No cell has a ceiling.",
    }
}

const CEILINGS_HOW: &str = "Each bar shows the median number of connections held over the valid trials, relative to the best cell. The \
              whisker goes from the smallest number that was held to the largest that failed. A pale bar with an arrow \
              has no ceiling: the server holds at least that many.";

/// The figures with the sentence on how to read them below the last.
fn explained(mut figures: Vec<FigureView>, how: &str) -> Vec<FigureView> {
    if let Some(last) = figures.last_mut() {
        how.clone_into(&mut last.how);
    }
    figures
}

/// What one of the plots of costs shows.
struct CostPlot {
    id: &'static str,
    title: &'static str,
    axis: &'static str,
    unit: Unit,
    slope: Unit,
    how: &'static str,
    pick: fn(&CellFindings) -> Option<Estimate>,
    shape: fn(&CellFindings) -> Option<CostShape>,
}

const MEMORY: CostPlot = CostPlot {
    id: "memory",
    title: "Memory against connections",
    axis: "memory of all instances",
    unit: Unit::Bytes,
    slope: Unit::Bytes,
    how: "Each mark is one step of one trial. Each line is fitted over the marks of its cell. Its slope is the cost of one \
          more connection: the steeper the line, the more a connection costs. The line starts at what the server uses \
          without connections, and a bar at its end is a knee, beyond which the cost is not linear. The 95 % interval is in \
          brackets.",
    pick: cost_words::memory,
    shape: |cell| cell.memory.as_ref().map(CostShape::memory),
};

const CPU: CostPlot = CostPlot {
    id: "cpu",
    title: "CPU against connections",
    axis: "CPU of all instances while held",
    unit: Unit::Cores,
    slope: Unit::Microcores,
    how: "Each mark is the CPU used while one step was held, converted to the load that the matrix configures. Each line is \
          what the fitted costs of its cell say for that load. Its slope is the CPU of one more connection: idle, and its \
          messages. A line that ends in a bar ends at a knee, beyond which the cost is not linear. 1,000,000 µcore are one \
          core. The 95 % interval is in brackets.",
    pick: cost_words::cpu,
    shape: |cell| cell.cpu.as_ref().map(CostShape::cpu),
};

fn costs(findings: &Findings, shown: &CostPlot, figures: &mut Vec<Figure>) -> PlotSection {
    let cells: Vec<(&CellFindings, CostShape)> =
        findings.cells.iter().filter_map(|cell| Some((cell, (shown.shape)(cell)?))).collect();
    let ends = plot::ends(cells.iter().map(|(_, cost)| cost));
    let mut views = Vec::new();
    for (at, chunk) in chunks(&cells).into_iter().enumerate() {
        let lines: Vec<CostLine<'_>> = chunk
            .iter()
            .enumerate()
            .map(|(series, (cell, cost))| CostLine { label: &cell.cell.id, cost, series })
            .collect();
        let label =
            format!("{} of {}", shown.title, lines.iter().map(|line| line.label).collect::<Vec<_>>().join(", "));
        let draw = |form| plot::cost(form, &lines, shown.unit, shown.axis, ends);
        let figure = Figure::draw(numbered(shown.id, at), label, true, draw);
        let mut view = FigureView::new(&figure, "", "", "", "");
        view.legend = chunk.iter().enumerate().map(|(series, (cell, _))| legend(cell, shown, series)).collect();
        views.push(view);
        figures.push(figure);
    }
    PlotSection {
        id: shown.id,
        title: shown.title,
        figures: explained(views, shown.how),
        nothing: "No cell has enough measurements for this plot.",
    }
}

/// All cells in one plot where they can be told apart, else a plot for each target, in parts where it has many.
fn chunks<'a, 'b>(cells: &'b [(&'a CellFindings, CostShape)]) -> Vec<&'b [(&'a CellFindings, CostShape)]> {
    if cells.len() <= CELLS_A_PLOT {
        return if cells.is_empty() { Vec::new() } else { vec![cells] };
    }
    cells.chunk_by(|a, b| a.0.cell.target == b.0.cell.target).flat_map(|target| target.chunks(CELLS_A_PLOT)).collect()
}

fn legend(cell: &CellFindings, shown: &CostPlot, series: usize) -> LegendRow {
    let cost = (shown.pick)(cell);
    let interval = cost_words::interval(cost, shown.slope);
    let interval = if interval.is_empty() { String::new() } else { format!(" [{interval}]") };
    LegendRow {
        swatch: plot::swatch(series),
        name: cell.cell.id.clone(),
        href: Some(format!("cells/{}.html#{}", cell.cell.id, shown.id)),
        text: format!("{} per connection{interval}", cost_words::estimate(cost, shown.slope)),
    }
}

fn numbered(name: &str, at: usize) -> String {
    if at == 0 { name.to_owned() } else { format!("{name}-{}", at + 1) }
}

//! The page of the capacity plan: what each size would hold, what would stop it there, and how many of them hold a goal.

use serde::Serialize;

use super::{Fact, FigureView, LegendRow, Pages, RunPage, document};
use crate::RenderError;
use crate::capacity_words as words;
use crate::plot::{self, Figure, LINES_MAX, PriceLine};
use crate::text;
use wsceiling_analysis::Findings;
use wsceiling_analysis::capacity::{self, CapacityPlan, NoPlan, SetUpPlan, SizePlan};
use wsceiling_model::format;

/// Name of the page.
const NAME: &str = "capacity.html";
/// Set-ups with a plot of their own at most.
const PLOTS_MAX: usize = 16;

/// The page.
pub const PAGE: RunPage = RunPage {
    templates: &[(NAME, include_str!("../templates/capacity.html"))],
    links: &[(NAME, "What other sizes would hold")],
    write: |pages, findings, output| {
        let (html, figures) = page(pages, findings, capacity::overview(findings), true)?;
        output.put(NAME, &html)?;
        output.put_plots(&figures)
    },
};

#[derive(Serialize)]
struct CapacityPage {
    title: &'static str,
    run: String,
    version: String,
    reserve: String,
    goals: Vec<String>,
    /// Why there is no plan.
    nothing: Option<String>,
    set_ups: Vec<SetUpView>,
    refused: Vec<Fact>,
    limits: [&'static str; 5],
}

#[derive(Serialize)]
struct SetUpView {
    anchor: String,
    title: String,
    facts: Vec<Fact>,
    rows: Vec<Row>,
    cheapest: Vec<Fact>,
    notes: Vec<String>,
    figures: Vec<FigureView>,
}

#[derive(Serialize)]
struct Row {
    size: String,
    limits: String,
    price: String,
    held: String,
    interval: String,
    measured: Option<String>,
    cause: String,
    cause_page: Option<String>,
    origin: String,
    basis: String,
    goals: Vec<Goal>,
}

#[derive(Serialize)]
struct Goal {
    instances: String,
    price: String,
    restart: String,
    basis: &'static str,
    class: &'static str,
}

/// A plan for one goal as a page, for the folder of its run: it links to the other pages there, and its plots are in it alone.
///
/// # Errors
/// When the template fails.
pub fn capacity_page(findings: &Findings, plan: &CapacityPlan) -> Result<String, RenderError> {
    Ok(page(&Pages::new()?, findings, Ok(vec![plan.clone()]), false)?.0)
}

fn page(
    pages: &Pages,
    findings: &Findings,
    plans: Result<Vec<CapacityPlan>, NoPlan>,
    with_files: bool,
) -> Result<(String, Vec<Figure>), RenderError> {
    let (plans, nothing) = match plans {
        Ok(plans) => (plans, None),
        Err(why) => (Vec::new(), Some(text::one_line(&why.to_string()))),
    };
    let mut figures = Vec::new();
    let set_ups = plans.first().map_or(0, |plan| plan.set_ups.len());
    let mut views: Vec<SetUpView> = (0..set_ups).map(|at| view(&plans, at, &mut figures)).collect();
    if !with_files {
        views.iter_mut().flat_map(|view| &mut view.figures).for_each(|figure| figure.file.clear());
    }
    let refused = plans.first().map(|plan| &plan.refused[..]).unwrap_or_default();
    let page = CapacityPage {
        title: "Capacity",
        run: text::one_line(&findings.header.run.name),
        version: text::one_line(&findings.header.wsceiling),
        reserve: plans.first().map(|plan| format::percent(plan.reserve)).unwrap_or_default(),
        goals: plans.iter().map(|plan| format::count(plan.goal)).collect(),
        nothing,
        set_ups: views,
        refused: refused
            .iter()
            .map(|(id, why)| Fact::new(&text::one_line(&id.to_string()), text::one_line(why)))
            .collect(),
        limits: words::LIMITS_OF_METHOD,
    };
    Ok((pages.render(NAME, &page)?, figures))
}

/// A set-up over all goals.
fn view(plans: &[CapacityPlan], at: usize, figures: &mut Vec<Figure>) -> SetUpView {
    let own: Vec<&SetUpPlan> = plans.iter().filter_map(|plan| plan.set_ups.get(at)).collect();
    let first = own[0];
    let last = own[own.len() - 1];
    let mut facts: Vec<Fact> =
        words::costs(&first.coefficients).into_iter().map(|(name, value)| Fact::new(name, value)).collect();
    facts.push(Fact::new("messages", words::message(first.message)));
    let title = text::one_line(&first.set_up.to_string());
    let shown = if at < PLOTS_MAX { plots(plans, last, at, &title) } else { Vec::new() };
    let views = shown.iter().map(|(_, view)| view.clone()).collect();
    figures.extend(shown.into_iter().map(|(figure, _)| figure));
    SetUpView {
        anchor: format!("set-up-{}", at + 1),
        title,
        facts,
        rows: first.sizes.iter().enumerate().map(|(size, one)| row(one, &own, size)).collect(),
        cheapest: plans
            .iter()
            .zip(&own)
            .map(|(plan, own)| Fact::new(&format::count(plan.goal), words::cheapest(plan, own).join("; ")))
            .collect(),
        notes: words::notes(first),
        figures: views,
    }
}

fn row(size: &SizePlan, over_goals: &[&SetUpPlan], at: usize) -> Row {
    let unknown = || format::UNKNOWN.to_owned();
    let one = size.one.as_ref();
    let goal = |own: &&SetUpPlan| {
        let size = &own.sizes[at];
        let plan = size.plan.as_ref();
        Goal {
            instances: if size.one.is_some() { words::instances(plan) } else { unknown() },
            price: words::price(size.price.as_ref(), plan.and_then(|plan| plan.per_month)),
            restart: words::restart(plan.and_then(|plan| plan.restart)),
            basis: plan.map(|plan| words::basis_word(&plan.prediction.basis)).unwrap_or_default(),
            class: if own.cheapest.contains(&at) { "better" } else { "" },
        }
    };
    Row {
        size: text::one_line(&size.size),
        limits: words::limits(size),
        price: words::price(size.price.as_ref(), size.price.as_ref().map(|price| price.per_month)),
        held: one.map_or_else(|| "nothing is known".to_owned(), words::held),
        interval: one.map(|one| words::interval(one.interval)).unwrap_or_default(),
        measured: one.and_then(words::measured),
        cause: one.map_or_else(unknown, words::cause),
        cause_page: one.and_then(|one| document::section(one.cause)),
        origin: one.map(|one| words::origin(one.origin).to_owned()).unwrap_or_default(),
        basis: one.map_or_else(unknown, |one| words::basis(&one.basis)),
        goals: over_goals.iter().map(goal).collect(),
    }
}

/// Price against connections, a plot for each currency; instances where nothing has a price.
fn plots(plans: &[CapacityPlan], of: &SetUpPlan, at: usize, set_up: &str) -> Vec<(Figure, FigureView)> {
    let goals: Vec<u64> = plans.iter().map(|plan| plan.goal).collect();
    let own: Vec<&SizePlan> = of.sizes.iter().filter(|size| !size.ladder.is_empty()).collect();
    let mut axes: Vec<String> = Vec::new();
    for size in &own {
        let axis = axis(size);
        if !axes.contains(&axis) {
            axes.push(axis);
        }
    }
    if axes.len() > 1 {
        // Sizes without a price have no place on an axis of prices.
        axes.retain(|axis| axis != INSTANCES);
    }
    let draw = |(number, title): (usize, &String)| {
        let sizes: Vec<&SizePlan> = own.iter().copied().filter(|size| axis(size) == *title).take(LINES_MAX).collect();
        let lines: Vec<PriceLine> = sizes.iter().enumerate().map(|(series, size)| line(size, series)).collect();
        let name =
            format!("capacity-{}{}", at + 1, if number == 0 { String::new() } else { format!("-{}", number + 1) });
        let label = format!("{title} against connections for {set_up}");
        let figure = Figure::draw(name, label, true, |form| plot::price(form, &lines, &goals, title));
        let mut view = FigureView::new(&figure, "", "", "", HOW);
        view.legend = sizes.iter().enumerate().map(|(series, size)| legend(size, series)).collect();
        (figure, view)
    };
    axes.iter().enumerate().map(draw).collect()
}

/// The axis of sizes without a price.
const INSTANCES: &str = "instances";

/// What the vertical axis of a size counts.
fn axis(size: &SizePlan) -> String {
    let Some(price) = &size.price else { return INSTANCES.to_owned() };
    match price.currency() {
        Some(currency) => format!("price a month, {}", text::one_line(currency)),
        None => "price a month".to_owned(),
    }
}

const HOW: &str = "Each line is a size: it rises by the price of one instance wherever another one is needed. The lowest \
                   line at a number of connections is the cheapest. The dashed lines are the goals. Connections are counted \
                   with the reserve.";

fn line(size: &SizePlan, series: usize) -> PriceLine {
    let each = size.price.as_ref().map_or(1.0, |price| price.per_month);
    PriceLine { each, ladder: size.ladder.clone(), series }
}

fn legend(size: &SizePlan, series: usize) -> LegendRow {
    let each = words::price(size.price.as_ref(), size.price.as_ref().map(|price| price.per_month));
    let price = if size.price.is_some() { format!(", {each} each") } else { String::new() };
    let text = format!("{}{price}", words::limits(size));
    LegendRow { swatch: plot::swatch(series), name: text::one_line(&size.size), href: None, text }
}

//! The report as one page of HTML.
//!
//! The page loads nothing, and says so to the browser. Where scripts or style sheets are forbidden it is read
//! all the same: tables, headings and the attributes of SVG carry it.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use node_annotator_core::fact::clean;

use super::chart::{PLAIN, UNKNOWN, bar};
use super::{OfFact, Report, folded};
use crate::operator::drift;
use crate::operator::fleet::state::{State, Totals};
use crate::operator::table::{NONE, counted};

pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// What the browser lets through: nothing but these two, by their sums (base64 of SHA-256).
pub(super) const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
                      style-src 'sha256-LLYvHwDi1TwwomlYlKQd7haTYB8LRGAkNL6JRon4TIA='; script-src 'sha256-Rbrjk92vWO3wPqFDp9ffOUwNDumCBXVjanxVWlgv8Po='";

/// The longest name.
const MAX_NAME_BYTES: usize = 512;

/// So many names, or folded ones, stand in a cell that is not of the table of nodes.
const MAX_NAMES: usize = 12;

/// Of everything at most so many rows: what is cut is told, and `-o json` has it.
const MAX_TROUBLES: usize = 200;
const MAX_DRIFTS: usize = 200;
const MAX_OTHERS: usize = 5;
const MAX_CHARTS: usize = 60;
const MAX_VALUES: usize = 8;
const MAX_COLUMNS: usize = 12;
const MAX_ROWS: usize = 2000;

/// States as they follow each other in a bar, with their colours.
const COLOURS: [(State, &str); 6] = [
    (State::Done, "#2f9e63"),
    (State::Failed, "#d64545"),
    (State::GivenUp, "#a3266b"),
    (State::Stale, "#d99a1c"),
    (State::Pending, "#4a7fd0"),
    (State::LeftOut, "#8a94a3"),
];

impl Report<'_> {
    /// The whole page.
    pub(super) fn page(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "node-annotator " (self.version) };
                    title { (plain(self.title)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { (plain(self.title)) }
                        p class="soft" { "As of " time datetime=(self.time) { (self.time) } ", " (counted(self.collectors.len(), "collector")) ". States count collectors on nodes." }
                        (self.sums())
                    }
                    main {
                        (self.attention())
                        (self.coverage())
                        (self.drift())
                        (self.charts())
                        (self.table())
                    }
                    footer { p { "node-annotator " (self.version) ", " code { "report" } "; " code { "report -o json" } " has the same as data, uncut." } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        page.into_string()
    }

    fn sums(&self) -> Markup {
        let states = COLOURS.map(|(state, _)| state);
        let shown = states.into_iter().filter(|state| *state == State::Done || self.totals.of(*state) > 0);
        html! {
            ul class="sums" {
                li { strong { (self.node_count) } " nodes" }
                @for state in shown {
                    li class=[(!state.is_settled()).then_some("bad")] { strong { (self.totals.of(state)) } " " (state.as_str()) }
                }
                li class=[(self.drifting > 0).then_some("bad")] { strong { (self.drifting) } " nodes that differ" }
            }
        }
    }

    fn attention(&self) -> Markup {
        html! {
            section {
                h2 { "What needs attention" }
                @if self.troubles.is_empty() {
                    p { "Nothing: each collector is done on every node that it is to run on, and no fact is stale." }
                } @else {
                    (framed(&html! {
                        thead align="left" { tr { th { "State" } th class="number" { "Nodes" } th { "Collectors" } th { "Why" } th { "Which" } } }
                        tbody align="left" {
                            @for trouble in self.troubles.iter().take(MAX_TROUBLES) {
                                tr {
                                    td class="word" { span class={ "state " (trouble.state.as_str()) } { (trouble.state.as_str()) } }
                                    td class="number" { (trouble.count) }
                                    td { (plain(&self.named(trouble.collectors))) }
                                    td class="text" { (trouble.why) }
                                    td class="text" { (folded(trouble.nodes, MAX_NAMES)) }
                                }
                            }
                        }
                    }))
                    (more(self.troubles.len(), MAX_TROUBLES, "reason"))
                }
            }
        }
    }

    /// The names of collectors, or that it is all of them.
    fn named(&self, collectors: &[String]) -> String {
        if collectors.len() > 2 && collectors.len() == self.collectors.len() {
            return format!("all {}", collectors.len());
        }
        collectors.join(", ")
    }

    /// Collectors that are as far share a row; those with most to do come first.
    fn coverage(&self) -> Markup {
        let mut rows: Vec<(&Totals, Vec<&str>)> = Vec::new();
        for of in &self.collectors {
            match rows.iter_mut().find(|(totals, _)| **totals == of.totals) {
                Some((_, names)) => names.push(of.collector),
                None => rows.push((&of.totals, vec![of.collector])),
            }
        }
        rows.sort_by_key(|(totals, _)| std::cmp::Reverse(totals.unsettled()));
        let parts = |totals: &Totals| COLOURS.map(|(state, colour)| (totals.of(state), colour));
        html! {
            section {
                h2 { "Coverage" }
                (framed(&html! {
                    thead align="left" { tr { th { "Collectors" } th { "Nodes" } th { "States" } } }
                    tbody align="left" {
                        @for (totals, names) in rows {
                            tr {
                                td class="text" { (plain(&names.join(", "))) }
                                td class="bar" { (bar(&parts(totals), self.node_count)) }
                                td class="text" { (totals.line()) }
                            }
                        }
                    }
                }))
            }
        }
    }

    fn drift(&self) -> Markup {
        let rows: usize = self.groups.iter().map(|group| group.drift.len()).sum();
        let mut left = MAX_DRIFTS;
        html! {
            section {
                h2 { "What differs within a group" }
                @if rows == 0 {
                    p { "No node differs from most of its group." }
                }
                @for group in &self.groups {
                    @if !group.drift.is_empty() && left > 0 {
                        @let title = plain(&group.title());
                        h3 { (if title.is_empty() { "all nodes" } else { title.as_str() }) ": " (counted(group.node_count, "node")) }
                        (framed(&html! {
                            thead align="left" { tr { th { "Fact" } th { "Most have" } th class="number" { "On" } th { "Different" } th class="number" { "Nodes" } th { "Which" } } }
                            tbody align="left" {
                                @for (drifting, implied) in drift::folded(&group.drift, false) {
                                    @if left > 0 {
                                        ({ left -= 1; "" })
                                        @for (at, other) in drifting.others.iter().take(MAX_OTHERS).enumerate() {
                                            tr {
                                                @if at == 0 {
                                                    th scope="row" class="word" {
                                                        (plain(drifting.fact))
                                                        @if implied > 0 { br; small class="soft" { "and " (implied) " more of it" } }
                                                    }
                                                    td { (drift::shown(drifting.usual, false)) }
                                                    td class="number" { (drifting.usual_count) " of " (drifting.known()) }
                                                } @else { td {} td {} td {} }
                                                td { mark { (drifting.told(other, false)) } }
                                                td class="number" { (other.count) }
                                                td class="text" { (folded(&other.nodes, MAX_NAMES)) }
                                            }
                                        }
                                        @if let Some(rest) = drifting.others.get(MAX_OTHERS..).filter(|rest| !rest.is_empty()) {
                                            tr {
                                                td {} td {} td {}
                                                td class="soft" { (rest.len()) " more values" }
                                                td class="number" { (rest.iter().map(|other| other.count).sum::<usize>()) }
                                                td {}
                                            }
                                        }
                                    }
                                }
                            }
                        }))
                    }
                }
                (more(rows, MAX_DRIFTS, "fact"))
            }
        }
    }

    fn charts(&self) -> Markup {
        let primary = || self.facts.iter().filter(|fact| fact.is_primary);
        let (alike, several): (Vec<_>, Vec<_>) =
            primary().partition(|fact| fact.is_everywhere(self.node_count));
        html! {
            section {
                h2 { "What the nodes have" }
                div class="charts" {
                    @for fact in several.iter().take(MAX_CHARTS) { (self.chart(fact)) }
                }
                (more(several.len(), MAX_CHARTS, "fact"))
                @if !alike.is_empty() {
                    h3 { "The same on all nodes" }
                    (framed(&html! {
                        tbody align="left" {
                            @for fact in alike {
                                tr { th scope="row" class="word" { (plain(fact.fact)) } td class="text" { (drift::shown(fact.values[0].value, false)) } }
                            }
                        }
                    }))
                }
            }
        }
    }

    fn chart(&self, fact: &OfFact<'_>) -> Markup {
        let known: usize = fact.values.iter().map(|of| of.count).sum();
        let rest = fact.values.get(MAX_VALUES..).unwrap_or_default();
        let others: usize = rest.iter().map(|of| of.count).sum();
        let row = |value: Markup, count: usize, colour: &str| {
            html! {
                tr { td { (value) } td class="bar" width="210" { (bar(&[(count, colour)], self.node_count)) } td class="number" { (count) } }
            }
        };
        html! {
            figure {
                figcaption { (plain(fact.fact)) }
                table cellpadding="3" {
                    tbody align="left" {
                        @for of in fact.values.iter().take(MAX_VALUES) {
                            (row(html! { (of.value.map_or_else(|| "no value".to_owned(), |value| drift::shown(Some(value), false))) }, of.count, PLAIN))
                        }
                        @if others > 0 { (row(html! { span class="soft" { (rest.len()) " more values" } }, others, PLAIN)) }
                        @if known < self.node_count { (row(html! { span class="soft" { "not known" } }, self.node_count - known, UNKNOWN)) }
                    }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        let columns = self.columns();
        let shown = &columns[..columns.len().min(MAX_COLUMNS)];
        let groups: Vec<_> =
            self.nodes.first().map(|row| row.group.keys().copied().collect()).unwrap_or_default();
        html! {
            section id="nodes" {
                h2 { "Nodes" }
                p class="soft" { "Nodes that are alike share a row. Columns are the primary facts that are not the same on all nodes." }
                (framed(&html! {
                    thead align="left" { tr {
                        th { "Nodes" } th class="number" { "Count" } th { "Not done" }
                        @for name in &groups { th { (plain(name)) } }
                        @for name in shown { th { (plain(name)) } }
                    } }
                    tbody align="left" {
                        @for row in self.nodes.iter().take(MAX_ROWS) {
                            tr {
                                th scope="row" class="text" { div class="names" { (folded(row.nodes, usize::MAX)) } }
                                td class="number" { (row.count) }
                                td { @if !row.states.is_empty() { mark { (row.states) } } }
                                @for name in &groups { td { (plain(row.group.get(name).copied().flatten().unwrap_or(NONE))) } }
                                @for name in shown { td { (row.facts.get(*name).map_or(NONE, String::as_str)) } }
                            }
                        }
                    }
                }))
                (more(columns.len(), MAX_COLUMNS, "fact"))
                (more(self.nodes.len(), MAX_ROWS, "row"))
            }
        }
    }
}

/// A name from outside: what moves or hides text is taken out. Values are shown by [`drift::shown`].
fn plain(text: &str) -> String {
    clean(text, MAX_NAME_BYTES)
}

/// A table that can be wider than the page, and has lines where there is no style sheet.
fn framed(table: &Markup) -> Markup {
    html! { div class="scroll" { table border="1" cellpadding="5" cellspacing="0" { (table) } } }
}

/// That not all are shown.
fn more(count: usize, shown: usize, what: &str) -> Markup {
    html! {
        @if count > shown { p class="soft" { (counted(count - shown, what)) " more: see " code { "report -o json" } "." } }
    }
}

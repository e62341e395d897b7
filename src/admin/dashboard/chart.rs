//! The funnel of the last days as a drawing: four bars in each other for each day, from wide and pale to narrow and strong.
//! Everything is counted in whole units of the drawing.

use crate::domain::statistics::Funnel;

/// The size of the drawing, and the part that the bars have.
const WIDTH: i64 = 720;
const HEIGHT: i64 = 220;
const LEFT: i64 = 56;
const TOP: i64 = 10;
/// Half of the name of the last day stands here.
const RIGHT: i64 = 16;
const PLOT_WIDTH: i64 = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT: i64 = HEIGHT - TOP - 26;

/// The bars, the widest first: their class, and how many hundredths of a day's width they have.
const BARS: [(&str, i64); 4] = [("asked", 84), ("delivered", 62), ("verified", 40), ("completed", 20)];

/// A drawing.
pub(super) struct Chart {
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) left: i64,
    pub(super) right: i64,
    /// The lines of the scale: their height, where their text stands, and their number.
    pub(super) lines: Vec<(i64, i64, i64)>,
    /// The names of days below: their place and text.
    pub(super) labels: Vec<(i64, String)>,
    pub(super) days: Vec<Bars>,
}

/// The bars of a day.
pub(super) struct Bars {
    /// What the bars say, on hover.
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// A bar.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
}

impl Chart {
    /// Draws the days, oldest first: the name of each, what its bars say, and its numbers.
    pub(super) fn new(days: Vec<(String, String, Funnel)>) -> Self {
        let most = days.iter().map(|(.., funnel)| funnel.asked).max().unwrap_or_default();
        let scale = scale(most);
        let count = i64::try_from(days.len()).unwrap_or(1).max(1);
        let begin = |at: i64| LEFT + PLOT_WIDTH * at / count;
        let y = |value: i64| TOP + PLOT_HEIGHT - PLOT_HEIGHT * value / scale;
        let mut chart = Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: LEFT + PLOT_WIDTH,
            lines: [0, scale / 2, scale].map(|value| (y(value), y(value) + 4, value)).into(),
            labels: Vec::new(),
            days: Vec::new(),
        };
        for (at, (name, title, funnel)) in (0_i64..).zip(days) {
            let (from, slot) = (begin(at), begin(at + 1) - begin(at));
            // Every seventh day, counted from today, has its name.
            if (count - 1 - at) % 7 == 0 {
                chart.labels.push((from + slot / 2, name));
            }
            let values = [funnel.asked, funnel.delivered, funnel.verified, funnel.completed];
            let bars = BARS.into_iter().zip(values).filter(|(_, value)| *value > 0);
            let bar = |((class, share), value): ((&'static str, i64), i64)| {
                let width = (slot * share / 100).max(1);
                Bar {
                    class,
                    x: from + (slot - width) / 2,
                    y: y(value),
                    width,
                    height: TOP + PLOT_HEIGHT - y(value),
                }
            };
            chart.days.push(Bars { title, bars: bars.map(bar).collect() });
        }
        chart
    }
}

/// The smallest of 2, 4, 10, 20, 40, 100 and so on that is not below the number, so that half of it is a round number too.
fn scale(most: i64) -> i64 {
    let tens = std::iter::successors(Some(1_i64), |ten| ten.checked_mul(10));
    tens.flat_map(|ten| [2, 4, 10].map(|step| ten.saturating_mul(step)))
        .find(|scale| *scale >= most)
        .unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_round_and_high_enough() {
        for (most, expected) in
            [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (21, 40), (41, 100), (100, 100), (101, 200)]
        {
            assert_eq!(scale(most), expected);
        }
    }

    #[test]
    fn bars_stay_inside_and_shrink() {
        let funnel = |n: i64| Funnel { asked: n * 4, delivered: n * 3, verified: n * 2, completed: n };
        let days = (0..30).map(|n| (n.to_string(), String::new(), funnel(n))).collect();
        let chart = Chart::new(days);
        assert_eq!((chart.days.len(), chart.labels.len()), (30, 5));
        assert_eq!(chart.labels.last().map(|(_, text)| text.as_str()), Some("29"));
        assert!(chart.days.first().is_some_and(|day| day.bars.is_empty()), "nothing is drawn for nothing");
        for bar in chart.days.iter().flat_map(|day| &day.bars) {
            assert!(bar.x >= LEFT && bar.x + bar.width <= LEFT + PLOT_WIDTH);
            assert!(bar.y >= TOP && bar.y + bar.height == TOP + PLOT_HEIGHT);
        }
        let last = chart.days.last().unwrap();
        assert!(
            last.bars.windows(2).all(|pair| pair[0].width > pair[1].width && pair[0].height > pair[1].height)
        );
        assert!(Chart::new(Vec::new()).days.is_empty());
    }
}

//! How a cost grows with the number of nodes: the exponent of a power law.

/// The slope of the straight line through the logarithms, by least squares: 1 is linear, 2 is quadratic.
pub(super) fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logarithms: Vec<_> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    if logarithms.len() < 2 {
        return None;
    }
    let count = super::figures::float(logarithms.len());
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| logarithms.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(&|point| point.0), mean(&|point| point.1));
    let covariance: f64 = logarithms.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = logarithms.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_power() {
        for power in [0.0, 1.0, 1.5] {
            let points = [100.0, 1000.0, 5000.0].map(|nodes: f64| (nodes, 7.0 * nodes.powf(power)));
            assert!((exponent(&points).unwrap() - power).abs() < 1e-9);
        }
        assert_eq!(exponent(&[(100.0, 1.0)]), None);
    }
}

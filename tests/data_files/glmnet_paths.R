# Regularisation paths of R's glmnet, for tests/solvers/test_path.py:
#
#   Rscript glmnet_paths.R > glmnet_paths.json
#
# Debian: r-cran-glmnet, r-cran-jsonlite. Every problem has weights and penalty factors
# whose sum is the number of columns, as glmnet would make it. Targets of "gaussian" have
# the variance 1: with another one glmnet's L2 penalty differs by its root.

suppressPackageStartupMessages({library(glmnet); library(jsonlite); library(Matrix)})
set.seed(0)
n <- 80
p <- 12

inputs <- function(density) {
  x <- matrix(round(rnorm(n * p), 3), n, p)
  x[, 2] <- round(0.8 * x[, 1] + 0.6 * x[, 2], 3)
  if (density < 1) x[matrix(runif(n * p) > density, n, p)] <- 0
  x[, 3] <- 10 * x[, 3]
  x
}

targets <- function(x, family) {
  eta <- drop(x %*% c(1, 0.5, 0.05, -1, 0.7, -0.4, 0.3, rep(0, p - 7)))
  switch(family,
    gaussian = eta + rnorm(n),
    binomial = as.numeric(runif(n) < plogis(eta)),
    poisson = as.numeric(rpois(n, exp(0.3 * eta))),
    multinomial = as.numeric(max.col(cbind(0.4 * eta, -0.4 * eta, x[, 8]) + matrix(rnorm(3 * n), n)) - 1)
  )
}

weights <- round(runif(n, 0.5, 2), 3)
weights[1:3] <- c(2, 1, 3)
# Without a penalty the coefficients of several classes are not determined.
factors_of <- function(family) {
  f <- c(if (family == "multinomial") 0.2 else 0, 0.5, 2, rep(1, p - 3))
  f / sum(f) * p
}

standardized <- function(y) {
  m <- weighted.mean(y, weights)
  (y - m) / sqrt(weighted.mean((y - m)^2, weights))
}

solve_one <- function(name, density, family, alpha, limits) {
  x <- inputs(density)
  y <- targets(x, family)
  if (family == "gaussian") y <- standardized(y)
  given <- if (density < 1) Matrix(x, sparse = TRUE) else x
  factors <- factors_of(family)
  fit <- glmnet(given, y, family = family, alpha = alpha, weights = weights,
    penalty.factor = factors, lower.limits = limits[1], upper.limits = limits[2],
    nlambda = 25, lambda.min.ratio = 1e-3, thresh = 1e-14, maxit = 1e7)
  coef <- if (family == "multinomial") lapply(fit$beta, as.matrix) else list(as.matrix(fit$beta))
  intercept <- if (family == "multinomial") t(fit$a0) else matrix(fit$a0, ncol = 1)
  list(name = unbox(name), family = unbox(family), sparse = unbox(density < 1),
    l1_ratio = unbox(alpha), factors = factors, limits = limits, X = x, y = y, alphas = fit$lambda,
    coef = lapply(unname(coef), function(b) unname(t(b))), intercept = unname(intercept))
}

free <- c(-Inf, Inf)
problems <- list()
for (family in c("gaussian", "binomial", "multinomial", "poisson")) {
  for (density in c(1, 0.3)) {
    for (alpha in c(1, 0.5)) {
      name <- paste(family, if (density < 1) "sparse" else "dense", alpha)
      problems[[length(problems) + 1]] <- solve_one(name, density, family, alpha, free)
    }
  }
  name <- paste(family, "bounds")
  problems[[length(problems) + 1]] <- solve_one(name, 1, family, 1, c(-0.2, 0.3))
}
cat(toJSON(list(
  versions = c(as.character(getRversion()), as.character(packageVersion("glmnet"))),
  weights = weights, problems = problems
), digits = 15))

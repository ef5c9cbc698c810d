# What R's mgcv fits, for tests/estimators/test_additive.py: writes additive_mgcv.json.
#
#   Rscript additive_mgcv.R SKLEARN_DATA additive_mgcv.json
#
# SKLEARN_DATA is scikit-learn's folder sklearn/datasets/data. Every case has the
# columns and breakpoints of its smooth terms, and of a fit its effective degrees of
# freedom, scale, and linear predictors at a part of the rows.

suppressPackageStartupMessages(library(mgcv))
library(jsonlite)

arguments <- commandArgs(trailingOnly = TRUE)
read <- function(name, ...) read.table(file.path(arguments[1], name), ...)

# ------------------------------------------------------------------------------- data

set.seed(1)
n <- 200
simulated <- data.frame(x0 = runif(n), x1 = runif(n), x2 = runif(n))
simulated <- round(simulated, 4)
f <- with(simulated, 2 * sin(pi * x0) + exp(2 * x1) / 3)
simulated$level <- sample(c("a", "b", "c", "d"), n, replace = TRUE)
effect <- c(a = -0.8, b = 0, c = 0.4, d = 1)[simulated$level]
simulated$y <- round(f + effect + rnorm(n, sd = 0.7), 4)
simulated$count <- rpois(n, exp(f / 3))
simulated$label <- rbinom(n, 1, plogis(2 * (f - 3)))
simulated$size <- round(rgamma(n, shape = 2, scale = exp(f / 2) / 2), 4)

diabetes <- read("diabetes_data_raw.csv.gz")
names(diabetes) <- c("age", "sex", "bmi", "bp", paste0("s", 1:6))
diabetes$target <- read("diabetes_target.csv.gz")[[1]]
diabetes$steps <- round(diabetes$target / 25)

cancer <- read("breast_cancer.csv", sep = ",", skip = 1)
cancer <- data.frame(
  texture = cancer[[2]], smoothness = cancer[[5]], benign = cancer[[31]]
)

# -------------------------------------------------------------------------------- fits

# Both iterations run until nothing changes.
control <- gam.control(epsilon = 1e-12, newton = list(conv.tol = 1e-10))

breaks <- list(
  x0 = seq(0, 1, length = 8), x1 = seq(0, 1, length = 8), x2 = seq(0, 1, length = 8),
  bmi = seq(18, 43, length = 8), s5 = seq(3, 6.5, length = 8),
  bp = seq(60, 135, length = 8),
  texture = seq(9, 40, length = 8), smoothness = seq(0.05, 0.17, length = 8)
)

# Knots that go on at the same distances beyond the breakpoints.
extended <- function(at) {
  step <- at[2] - at[1]
  inner <- length(at)
  c(at[1] - step * (3:1), at, at[inner] + step * (1:3))
}

described <- function(g, rows) {
  list(
    edf = unname(summary(g)$edf), scale = g$sig2,
    raw = unname(predict(g)[rows])
  )
}

fit <- function(response, columns, data, family, method, basis = "bs") {
  m <- if (basis == "ps") "c(2, 2)" else "c(3, 2)"
  term <- sprintf("s(%s, bs = '%s', k = 10, m = %s)", columns, basis, m)
  formula <- as.formula(paste(response, "~", paste(term, collapse = "+")))
  gam(
    formula,
    data = data, family = family, method = method, control = control,
    knots = lapply(breaks[columns], extended)
  )
}

compared <- function(name, data, response, columns, family, method, basis = "bs") {
  g <- fit(response, columns, data, family, method, basis)
  rows <- round(seq(1, nrow(data), length = 25))
  s <- summary(g)
  errors <- predict(g, type = "terms", se.fit = TRUE)$se.fit[rows, 1]
  thin <- as.formula(
    paste(response, "~", paste0("s(", columns, ")", collapse = "+"))
  )
  default <- gam(thin, data = data, family = family, method = method)
  list(
    name = name, response = response, columns = columns, family = family$family,
    method = method, basis = basis, rows = rows - 1, same_basis = described(g, rows),
    ref_df = unname(s$s.table[, 2]), statistic = unname(s$s.table[, 3]),
    p_value = unname(s$s.table[, 4]), standard_error = unname(errors),
    thin_plate = described(default, rows), breaks = breaks[columns],
    criterion = deviance(g) / 2 + sum(g$edf) # n / 2 times what GCV.Cp minimises, plus 1
  )
}

cases <- list()
for (method in c("REML", "GCV.Cp")) {
  for (case in list(
    list("simulated", simulated, "y", c("x0", "x1", "x2"), gaussian()),
    list("simulated", simulated, "count", c("x0", "x1", "x2"), poisson()),
    list("simulated", simulated, "label", c("x0", "x1", "x2"), binomial()),
    list("diabetes", diabetes, "target", c("bmi", "bp", "s5"), gaussian()),
    list("diabetes", diabetes, "steps", c("bmi", "s5"), poisson()),
    list("cancer", cancer, "benign", c("texture", "smoothness"), binomial())
  )) {
    cases[[length(cases) + 1]] <- do.call(compared, c(case, method))
  }
}
cases[[length(cases) + 1]] <- compared(
  "simulated", simulated, "y", c("x0", "x1", "x2"), gaussian(), "REML", "ps"
)
cases[[length(cases) + 1]] <- compared(
  "simulated", simulated, "size", c("x0", "x1", "x2"), Gamma("log"), "REML"
)

# ------------------------------------------------------------------------- other terms

tensor_breaks <- list(x0 = seq(0, 1, length = 3), x1 = seq(0, 1, length = 3))
surface <- function(method) {
  gam(
    y ~ te(x0, x1, bs = "bs", k = 5, m = list(c(3, 2), c(3, 2)), np = FALSE) +
      s(x2, bs = "bs", k = 10, m = c(3, 2)),
    data = simulated, method = method, control = control,
    knots = lapply(c(tensor_breaks, breaks["x2"]), extended)
  )
}
rows <- round(seq(1, n, length = 25))
simulated$level <- factor(simulated$level)
random <- gam(
  y ~ s(x0, bs = "bs", k = 10, m = c(3, 2)) + s(level, bs = "re") + x1,
  data = simulated, method = "REML", control = control,
  knots = lapply(breaks["x0"], extended)
)
parametric <- gam(
  y ~ s(x0, bs = "bs", k = 10, m = c(3, 2)) + level + x1,
  data = simulated, method = "REML", control = control,
  knots = lapply(breaks["x0"], extended)
)

simulated$level <- as.character(simulated$level)
writeLines(toJSON(list(
  mgcv = as.character(packageVersion("mgcv")), simulated = simulated, cases = cases,
  rows = rows - 1,
  tensor = lapply(
    list(reml = surface("REML"), gcv = surface("GCV.Cp")), described, rows
  ),
  random = described(random, rows),
  random_slope = unname(summary(random)$p.table[2, 1:4]),
  parametric = described(parametric, rows),
  parametric_table = unname(summary(parametric)$p.table[2:5, ])
), digits = 12, auto_unbox = TRUE, dataframe = "columns"), arguments[2])

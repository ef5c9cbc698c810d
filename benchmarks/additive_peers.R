# Seconds of mgcv's fits for bench_additive.py.
#
#   Rscript additive_peers.R FILE METHOD FAMILY ROUNDS
#
# FILE is a table with a target y and five columns; METHOD is gam, bam or discrete (bam
# with discrete=TRUE). Answers the median seconds, the effective degrees of freedom and
# the mean deviance.

suppressPackageStartupMessages(library(mgcv))
arguments <- commandArgs(trailingOnly = TRUE)
table <- read.csv(arguments[1])
family <- get(arguments[3])()
formula <- y ~ s(x0) + s(x1) + s(x2) + s(x3) + s(x4)

fit <- function() {
  switch(arguments[2],
    gam = gam(formula, data = table, family = family, method = "REML"),
    bam = bam(formula, data = table, family = family, method = "fREML"),
    discrete = bam(
      formula,
      data = table, family = family, method = "fREML", discrete = TRUE
    )
  )
}

times <- replicate(as.integer(arguments[4]), system.time(g <<- fit())[["elapsed"]])
cat(median(times), sum(summary(g)$edf) + 1, deviance(g) / nrow(table), "\n")

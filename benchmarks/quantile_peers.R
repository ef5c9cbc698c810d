# R's quantreg behind requests on stdin, a line each, for bench_quantile.py.
#
#   load ROWS COLUMNS FILE   doubles: the design by columns, its first is ones, then y
#   fit METHOD TAU...        answers the seconds and the coefficients, tau after tau
#
# rq.fit is called on the matrix, so no formula is timed. Methods that take one tau fit
# each by itself; pfnb takes all of them at once.

# Which solution of several is found is no matter here: objectives are compared.
options(warn = -1)
set.seed(1) # pfn and pfnb draw a subsample

answer <- function(...) {
  cat(..., "\n")
  flush(stdout())
}

load_data <- function(n, p, file) {
  connection <- file(file, "rb")
  on.exit(close(connection))
  x <<- matrix(readBin(connection, "double", n * p), n, p)
  y <<- readBin(connection, "double", n)
  answer("loaded")
}

coefficients_of <- function(method, taus) {
  if (method == "pfnb") return(rq.fit.pfnb(x, y, taus)$coefficients)
  sapply(taus, function(tau) rq.fit(x, y, tau = tau, method = method)$coefficients)
}

fit <- function(method, taus) {
  gc() # of what earlier fits left
  start <- proc.time()[["elapsed"]]
  found <- coefficients_of(method, taus)
  seconds <- proc.time()[["elapsed"]] - start
  answer(seconds, sprintf("%.17g", found))
}

respond <- function(words) {
  if (words[1] == "load") {
    load_data(as.integer(words[2]), as.integer(words[3]), words[4])
  } else {
    fit(words[2], as.numeric(words[-(1:2)]))
  }
}

if (suppressPackageStartupMessages(require(quantreg, quietly = TRUE))) {
  versions <- c(as.character(getRversion()), as.character(packageVersion("quantreg")))
  answer(versions, extSoftVersion()[["BLAS"]])
  requests <- file("stdin", "r")
  while (length(line <- readLines(requests, 1))) {
    tryCatch(
      respond(strsplit(line, " ", fixed = TRUE)[[1]]),
      error = function(e) answer("error", gsub("\n", " ", conditionMessage(e)))
    )
  }
} else {
  answer("error R has no package quantreg")
}

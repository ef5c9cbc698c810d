# R's glmnet behind requests on stdin, a line each, for bench_path.py.
#
#   dense ROWS COLUMNS FILE          doubles, by columns
#   sparse ROWS COLUMNS NONZEROS FILE   doubles, then rows and starts of columns, int32
#   fit FAMILY FILE                  targets; answers seconds, the number of strengths
#                                    and the file that holds, for each strength,
#                                    alpha, the intercept and the coefficients
#
# Strengths and tolerance are glmnet's own.

suppressPackageStartupMessages(library(Matrix))

answer <- function(...) {
  cat(..., "\n")
  flush(stdout())
}

read_dense <- function(n, p, file) {
  connection <- file(file, "rb")
  on.exit(close(connection))
  x <<- matrix(readBin(connection, "double", n * p), n, p)
  answer("loaded")
}

read_sparse <- function(n, p, m, file) {
  connection <- file(file, "rb")
  on.exit(close(connection))
  values <- readBin(connection, "double", m)
  rows <- readBin(connection, "integer", m)
  starts <- readBin(connection, "integer", p + 1)
  x <<- new("dgCMatrix", x = values, i = rows, p = starts, Dim = c(n, p))
  answer("loaded")
}

fit <- function(family, file) {
  y <- readBin(file, "double", nrow(x))
  gc()
  start <- proc.time()[["elapsed"]]
  found <- glmnet(x, y, family = family)
  seconds <- proc.time()[["elapsed"]] - start
  out <- paste0(file, ".fit")
  writeBin(as.vector(rbind(found$lambda, found$a0, as.matrix(found$beta))), out)
  answer(seconds, length(found$lambda), out)
}

respond <- function(words) {
  numbers <- suppressWarnings(as.integer(words))
  switch(words[1],
    dense = read_dense(numbers[2], numbers[3], words[4]),
    sparse = read_sparse(numbers[2], numbers[3], numbers[4], words[5]),
    fit = fit(words[2], words[3])
  )
}

if (suppressPackageStartupMessages(require(glmnet, quietly = TRUE))) {
  answer(as.character(getRversion()), as.character(packageVersion("glmnet")))
  requests <- file("stdin", "r")
  while (length(line <- readLines(requests, 1))) {
    tryCatch(
      respond(strsplit(line, " ", fixed = TRUE)[[1]]),
      error = function(e) answer("error", gsub("\n", " ", conditionMessage(e)))
    )
  }
} else {
  answer("error R has no package glmnet")
}

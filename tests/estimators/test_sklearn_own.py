"""Test files of scikit-learn, run with our estimators in place of its own.

Of the files in ``FILES`` every test runs but those in ``EXCLUDED``, under the reason.
``sklearn_adapter`` translates the parameters of the constructors; the values in
``DROPPED`` are left out of the parametrisations, and what fails for scikit-learn's own
models must hold for ours.

Two files are left out as a whole, because the semantics differ. ``test_huber``: its
models fit a scale together with the coefficients, and the tests are about it.
``test_sgd``: its models update the weights in place row by row, with schedules of their
own by default ("optimal", "invscaling") and coefficients to start from. With the same
constant rate both kinds are held to each other step by step in ``test_trajectories``,
at convergence in ``test_parity``.
"""

import numpy as np
import pytest
from estimators.sklearn_adapter import Adapter, load, without

FILES = {
    "sklearn.neural_network.tests.test_mlp": ["MLPClassifier", "MLPRegressor"],
    "sklearn.linear_model.tests.test_base": ["LinearRegression"],
    "sklearn.linear_model.tests.test_quantile": ["QuantileRegressor"],
    "sklearn.linear_model.tests.test_logistic": ["LogisticRegression"],
    "sklearn.linear_model.tests.test_coordinate_descent": ["ElasticNet", "Lasso"],
}

EXCLUDED = {
    "fits none of the estimators above: functions, paths, searches, other models": [
        "test_base_preprocess_data",
        "test_base_preprocess_data_multioutput",
        "test_base_preprocess_data_weighted",
        "test_base_preprocess_copy_data_no_checks",
        "test_base_dtype_preprocess_data",
        "test_base_preprocess_data_integer_array_api_on_float32_only_device",
        "test_base_rescale_data",
        "test_base_array_api_move_estimator_to",
        "test_base_predict_proba_lr_large_values",
        "test_logistic_logistic_regression_path_convergence_fail",
        "test_logistic_logistic_cv_refit_false_non_elasticnet",
        "test_logistic_logistic_cv_mock_scorer",
        "test_logistic_logistic_regressioncv_class_weights",
        "test_logistic_LogisticRegressionCV_no_refit",
        "test_logistic_LogisticRegressionCV_elasticnet_attribute_shapes",
        "test_logistic_logistic_regression_path_coefs_multinomial",
        "test_logistic_logistic_regression_path_init_coefs",
        "test_logistic_lr_cv_scores_differ_when_sample_weight_is_requested",
        "test_logistic_lr_cv_scores_without_enabling_metadata_routing",
        "test_logistic_passing_params_without_enabling_metadata_routing",
        "test_logistic_logisticregressioncv_warns_with_use_legacy_attributes",
        "test_logistic_lr_scoring_warns",
        "test_logistic_get_default_scorer",
        "test_base_csr_preprocess_data",
        "test_base_fused_types_make_dataset",
        "test_base_sparse_preprocess_data_offsets",
        "test_logistic_logistic_cv_sparse",
        "test_coordinate_descent_cython_solver_equivalence",
        "test_coordinate_descent_set_order_sparse",
        "test_coordinate_descent_sparse_dense_descent_paths",
        "test_coordinate_descent_sparse_input_convergence_warning",
        "test_coordinate_descent_sparse_input_dtype_enet_and_lassocv",
        "test_coordinate_descent_set_order_dense",
        "test_coordinate_descent_lasso_cv",
        "test_coordinate_descent_lasso_cv_with_some_model_selection",
        "test_coordinate_descent_lasso_cv_positive_constraint",
        "test_coordinate_descent_lassocv_alphas_validation",
        "test_coordinate_descent_lasso_path_return_models_vs_new_return_gives_same_coefficients",
        "test_coordinate_descent_enet_path",
        "test_coordinate_descent_enet_cv_positive_constraint",
        "test_coordinate_descent_uniform_targets",
        "test_coordinate_descent_multi_task_lasso_vs_skglm",
        "test_coordinate_descent_multi_task_lasso_and_enet",
        "test_coordinate_descent_multi_task_lasso_readonly_data",
        "test_coordinate_descent_multioutput_enetcv_error",
        "test_coordinate_descent_multitask_enet_and_lasso_cv",
        "test_coordinate_descent_1d_multioutput_enet_and_multitask_enet_cv",
        "test_coordinate_descent_1d_multioutput_lasso_and_multitask_lasso_cv",
        "test_coordinate_descent_enet_path_positive",
        "test_coordinate_descent_path_unknown_parameter",
        "test_coordinate_descent_enet_l1_ratio",
        "test_coordinate_descent_warm_start_multitask_lasso",
        "test_coordinate_descent_convergence_warnings",
        "test_coordinate_descent_multi_task_lasso_cv_dtype",
        "test_coordinate_descent_enet_cv_sample_weight_correctness",
        "test_coordinate_descent_enet_cv_sample_weight_consistency",
        "test_coordinate_descent_linear_models_cv_fit_with_loky",
        "test_coordinate_descent_cv_estimators_reject_params_with_no_routing_enabled",
        "test_coordinate_descent_enet_path_check_input_false",
        "test_coordinate_descent_path_function_deprecated_n_alphas",
    ],
    "takes seconds, of hundreds of fits": [
        "test_coordinate_descent_enet_cv_grid_search",
        "test_logistic_LogisticRegressionCV_GridSearchCV_elastic_net",
        "test_logistic_multinomial_cv_iris",
    ],
    "looks at private attributes": [
        "test_mlp_fit",
        "test_mlp_gradient",
        "test_mlp_n_iter_no_change",
        "test_mlp_n_iter_no_change_inf",
        "test_logistic_logreg_predict_proba_multinomial",
        "test_logistic_max_iter",
        "test_logistic_n_iter",
        "test_logistic_newton_cholesky_fallback_to_lbfgs",
    ],
    "the duality gap of coordinate descent, and its warnings": [
        "test_coordinate_descent_lasso_zero",
        "test_coordinate_descent_lasso_toy",
        "test_coordinate_descent_enet_toy",
        "test_coordinate_descent_lasso_dual_gap",
        "test_coordinate_descent_lasso_readonly_data",
        "test_coordinate_descent_enet_multitarget",
        "test_coordinate_descent_lassoCV_does_not_set_precompute",
        "test_coordinate_descent_lasso_alpha_warning",
        "test_coordinate_descent_enet_coordinate_descent_raises_convergence",
        "test_coordinate_descent_warm_start_convergence",
        "test_coordinate_descent_warm_start_convergence_with_regularizer_decrement",
    ],
    "a Gram matrix or unchecked inputs of the user": [
        "test_base_inplace_data_preprocessing",
        "test_coordinate_descent_check_input_false",
        "test_coordinate_descent_enet_copy_X_True",
        "test_coordinate_descent_enet_copy_X_False_check_input_False",
        "test_coordinate_descent_enet_sample_weight_does_not_overwrite_sample_weight",
        "test_coordinate_descent_elasticnet_precompute_gram",
        "test_coordinate_descent_elasticnet_precompute_gram_weighted_samples",
        "test_coordinate_descent_elasticnet_precompute_incorrect_gram",
        "test_coordinate_descent_overridden_gram_matrix",
        "test_coordinate_descent_enet_float_precision",
        "test_coordinate_descent_lasso_positive_constraint",
    ],
    "sparse inputs of networks and quantiles, or sparse coefficients": [
        "test_mlp_sparse_matrices",
        "test_quantile_sparse_input",
        "test_logistic_sparsify",
    ],
    "what scikit-learn refuses to do with sparse inputs": [
        "test_base_raises_value_error_if_positive_and_sparse",
        "test_logistic_large_sparse_matrix",
    ],
    "schedules of scikit-learn's own, and a limit of evaluations": [
        "test_mlp_learning_rate_warmstart",
        "test_mlp_adaptive_learning_rate",
        "test_mlp_lbfgs_classification_maxfun",
        "test_mlp_lbfgs_regression_maxfun",
    ],
    "options of one of scikit-learn's solvers": [
        "test_logistic_check_solver_option",
        "test_logistic_consistency_path",
        "test_logistic_elasticnet_l1_ratio_err_helpful",
        "test_logistic_liblinear_dual_random_state",
        "test_logistic_liblinear_multiclass_raises",
        "test_logistic_liblinear_not_stuck",
        "test_logistic_liblinear_with_large_values",
        "test_logistic_logisticregression_liblinear_sample_weight",
        "test_logistic_sample_and_class_weight_equivalence_liblinear",
        "test_logistic_zero_max_iter",
        "test_quantile_error_interior_point_future",
        "test_quantile_incompatible_solver_for_sparse_input",
        "test_quantile_linprog_failure",
    ],
    "warnings about scikit-learn's own past or its parameters": [
        "test_logistic_l1_ratio_None_deprecated",
        "test_logistic_l1_ratio_non_elasticnet",
        "test_logistic_logisticregression_warns_with_n_jobs",
        "test_logistic_lr_penalty_l1ratio_incompatible",
        "test_logistic_penalty_deprecated",
        "test_logistic_penalty_none",
    ],
    "callbacks, and arrays of other libraries": [
        "test_logistic_logistic_regression_array_api_compliance",
        "test_logistic_logistic_regression_array_api_warm_start",
        "test_logistic_logistic_regression_callback_fitted_estimator",
        "test_logistic_logistic_regression_callback_support",
        "test_logistic_logistic_regression_callback_support_warning",
    ],
    "the words of a message or a line of output": [
        "test_coordinate_descent_enet_nonfinite_params",
        "test_logistic_inconsistent_input",
        "test_mlp_early_stopping_stratified",
        "test_mlp_mlp_partial_fit_after_fit",
        "test_mlp_nonfinite_params",
        "test_mlp_verbose_sgd",
        "test_mlp_warm_start",
    ],
    "attributes are None where early stopping leaves them, ours are numbers": [
        "test_mlp_early_stopping",
    ],
    "n_iter_ counts the epochs of all warm fits here": [
        "test_mlp_warm_start_full_iteration",
        "test_mlp_mlp_warm_start_no_convergence",
    ],
    "a divergence is an error here, also with early stopping": [
        "test_mlp_mlp_diverging_loss",
    ],
    "a validation set of one row is taken here": [
        "test_mlp_minimum_input_sample_size",
    ],
    "logarithms stay distinct here where probabilities round to 1": [
        "test_mlp_predict_proba_multilabel",
    ],
    "linear models compute in float64": [
        "test_logistic_dtype_match",
    ],
    "without a penalty coefficients of classes sum to 1e-6, not to 1e-11": [
        "test_logistic_logistic_regression_solvers_multiclass_unpenalized",
        "test_logistic_multinomial_identifiability_on_iris",
    ],
    "as close to LogisticRegressionCV's as its own solver and tolerance are": [
        "test_logistic_logistic_cv",
        "test_logistic_logistic_cv_folds_with_classes_missing",
        "test_logistic_logistic_cv_multinomial_score",
        "test_logistic_logistic_regression_cv_refit",
    ],
}

# Cases that are left out: words in values of an argument.
NO_GRAM = {"precompute": ["True"]}
DROPPED = {
    "test_coordinate_descent_enet_alpha_max": {
        "['estimatorCV', 'estimator']": ["MultiTask"],
    },
    "test_coordinate_descent_enet_ols_consistency": NO_GRAM,
    "test_coordinate_descent_enet_ridge_consistency": {
        "['precompute', 'n_targets']": ["True", "3"],
    },
    "test_coordinate_descent_enet_sample_weight_consistency": {
        **NO_GRAM,
        "estimator": ["MultiTask"],
    },
    "test_logistic_logistic_regression_sample_weights": {"problem": ["cv"]},
    # A slope that must not be above 10 is above it in the last bit.
    "test_quantile_quantile_toy_example": {
        "quantile, alpha, intercept, coef": ["0.51"],
    },
    # A single class is refused.
    "test_mlp_preserve_feature_names": {"Estimator": ["Classifier"]},
    # Balanced class weights count sample weights here.
    "test_logistic_sample_weight_not_modified": {"class_weight": ["balanced"]},
}

# Takes a second or more; what is looked at is tested in other files of ours as well.
LONG = (
    "test_logistic_elastic_net_vs_l1_l2",
    "test_logistic_logistic_regression_class_weights",
    "test_logistic_logistic_regression_solvers_multiclass",
    "test_mlp_mlp_loading_from_joblib_partial_fit",
    "test_mlp_multilabel_classification",
    "test_mlp_partial_fit_classification",
    "test_mlp_partial_fit_regression",
)

pytestmark = [pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture(autouse=True)
def fits_ours(request, monkeypatch):
    """Fail a test that fits none of our estimators; undo what it does to NumPy."""
    monkeypatch.setattr(
        "skgrad.executor.work.WORTH_COMPILING", np.inf
    )  # compile nothing
    state, before = np.random.get_state(), Adapter.n_fits  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002
    if request.function.__name__ in THEIRS:
        assert Adapter.n_fits > before, (
            "this test fits no estimator of ours: exclude it"
        )


def collect():
    """Return the tests and fixtures of scikit-learn's files, and all tests' names."""
    found, names = {}, set()
    excluded = {name for names in EXCLUDED.values() for name in names}
    for path, adapted in FILES.items():
        part = path.rpartition("test_")[2]
        for name, value in vars(load(path, adapted)).items():
            ours = f"test_{part}_{name.removeprefix('test_')}"
            if not name.startswith("test_"):
                if isinstance(value, type(global_random_seed)):
                    found[name] = value
                continue
            names.add(ours)
            if ours not in excluded and without(value, DROPPED.get(ours, {})):
                found[ours] = pytest.mark.long(value) if ours in LONG else value
    return found, names


FOUND, NAMES = collect()
THEIRS = {value.__name__ for value in FOUND.values() if hasattr(value, "__name__")}
globals().update(FOUND)


def test_every_excluded_name_is_a_test_of_scikit_learn_and_said_once():
    listed = [name for group in EXCLUDED.values() for name in group]
    assert sorted(set(listed)) == sorted(listed)
    assert set(listed) | set(DROPPED) | set(LONG) <= NAMES
    running = [name for name in FOUND if name.startswith("test_")]
    print(f"{len(running)} of {len(NAMES)} tests run")  # noqa: T201 - for `pytest -s`
    assert len(running) >= 60

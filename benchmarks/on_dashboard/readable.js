/* What makes asv's graphs easier to read. */

/* Networks differ a thousandfold in time: the graphs of benchmarks with parameters begin with a logarithmic axis. */
function begin_logarithmic(event) {
    var name = decodeURIComponent(window.location.hash.replace(/^#\/?/, ""));
    var benchmark = published_results["index.json"].benchmarks[name];
    if (benchmark && benchmark.params.length) {
        window.location.replace("#" + name + "?y-axis-scale=log");
        if (event) {
            event.stopImmediatePropagation(); /* asv draws at the change that follows, and only then */
        }
    }
}
begin_logarithmic();
$(window).on("hashchange", begin_logarithmic);

/* asv's colours without the pale ones: each has a contrast of 3 or more to white. */
$(function () {
    /* after asv.js, which is ready first to be asked for its results */
    $(function () {
        $.asv.colors = ["#0072b2", "#d55e00", "#007d5b", "#a3307f", "#4a4a4a", "#8c6d00", "#5a4fcf", "#6b8e23",
                        "#c2185b", "#1296a8", "#7a5230"];
    });
});

/* The legend beside the curves instead of over them, and of curves that have points. Commits by their hashes along
   the axis, which asv leaves without labels; as many as there is room for. */
(function () {
    var plot = $.plot, least_distance = 0.1;

    function labelled_commits(axis, graphs) {
        var place = axis.transform || function (revision) { return revision; };
        var revisions = {}, ticks = [], last = -Infinity;
        $.each(graphs, function (i, graph) {
            $.each(graph.data, function (j, point) {
                if (!(point[0] < axis.min || point[0] > axis.max)) {
                    revisions[point[0]] = true;
                }
            });
        });
        revisions = Object.keys(revisions).map(Number).sort(function (a, b) { return a - b; });
        var width = place(revisions[revisions.length - 1]) - place(revisions[0]);
        $.each(revisions, function (i, revision) {
            if (place(revision) - last >= least_distance * width) {
                last = place(revision);
                ticks.push([revision, $.asv.get_commit_hash(revision)]);
            }
        });
        return ticks;
    }

    function has_points(graph) {
        return graph.data.some(function (point) { return point[1] !== null; });
    }

    $.plot = function (placeholder, graphs, options) {
        graphs = graphs.filter(has_points);
        if ($(placeholder).is("#main-graph")) {
            $("#legend").remove();
            options.legend.container = $("<div id='legend'>").appendTo("#graph");
        }
        if (options.xaxis.axisLabel === "commits") {
            options.xaxis.ticks = labelled_commits(options.xaxis, graphs);
        }
        return plot(placeholder, graphs, options);
    };
    $.extend($.plot, plot);
})();

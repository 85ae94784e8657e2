/* Visits the dashboard's pages and writes what a reader sees of each, as JSON, into <pre id="probe">.

   For every piece of text: where it is, its colour, and the colour behind it, blended from all that lies under its
   centre. Set before this: probe_pages, a list of [name, hash], and probe_decoy, an address that is not here. */

(function () {
    var problems = [];
    window.addEventListener("error", function (event) {
        var source = event.message || event.target.src || event.target.href;
        if (source !== probe_decoy) {
            problems.push("error: " + source);
        }
    }, true);
    document.addEventListener("securitypolicyviolation", function (event) {
        problems.push("asked for " + event.blockedURI);
    });

    function channels(colour) {
        var numbers = (colour.match(/[\d.]+/g) || []).map(Number);
        if (numbers.length < 3) {
            return [0, 0, 0, 0];
        }
        return numbers.length > 3 ? numbers.slice(0, 4) : numbers.concat(1);
    }

    function over(upper, lower) {
        return [0, 1, 2].map(function (i) { return upper[i] * upper[3] + lower[i] * (1 - upper[3]); });
    }

    function paint(element) {
        var style = getComputedStyle(element);
        var colour = channels(element instanceof SVGGeometryElement ? style.fill : style.backgroundColor);
        colour[3] *= Number(style.opacity);
        return colour;
    }

    function text(element) {
        var box = element.getBoundingClientRect();
        var x = box.left + box.width / 2, y = box.top + box.height / 2;
        var stack = document.elementsFromPoint(x, y);
        var at = stack.indexOf(element);
        var behind = [255, 255, 255];
        stack.slice(Math.max(at, 0)).reverse().forEach(function (lower) { behind = over(paint(lower), behind); });
        return {
            text: element.textContent.trim().replace(/\s+/g, " "),
            colour: over(channels(getComputedStyle(element).color), behind),
            behind: behind,
            covered: at < 0 || stack.slice(0, at).some(function (upper) { return paint(upper)[3] > 0; }),
            size: parseFloat(getComputedStyle(element).fontSize),
            box: [box.left, box.top, box.right, box.bottom]
        };
    }

    function scrolled_away(element) {
        var box = element.getBoundingClientRect();
        return box.bottom <= 0 || box.bottom > window.innerHeight || $(element).parents().get().some(function (one) {
            var frame = one.getBoundingClientRect();
            var scrolls = /auto|scroll/.test(getComputedStyle(one).overflowY);
            return scrolls && (box.top < frame.top || box.bottom > frame.bottom);
        });
    }

    function texts(selector) {
        return $(selector).filter(":visible").get().filter(function (element) {
            return element.textContent.trim() && !scrolled_away(element);
        }).map(text);
    }

    function series(selector) {
        return $(selector).get().map(function (element) {
            var plot = $(element).data("plot");
            return !plot ? [] : plot.getData().map(function (one) {
                return {
                    label: one.label || null,
                    colour: channels($("<i>").css("color", one.color).css("color")).slice(0, 3),
                    points: one.data.filter(function (point) { return point[1] !== null; }).length
                };
            });
        });
    }

    function seen() {
        return {
            navigation: texts("#nav li a, #nav .navbar-text, #nav .navbar-brand"),
            sidebar: texts(".asv-navigation .btn, .asv-navigation .panel-heading"),
            graph: $("#main-graph").get().map(function (element) {
                var box = element.getBoundingClientRect();
                return [box.left, box.top, box.right, box.bottom];
            })[0],
            legend: texts("#legend .legendLabel"),
            x_ticks: texts("#main-graph .flot-x-axis .flot-tick-label"),
            y_ticks: texts("#main-graph .flot-y-axis .flot-tick-label"),
            series: series("#main-graph:visible"),
            grid: texts(".benchmark-text, .benchmark-group > h1"),
            grid_series: series(".benchmark-plot:visible"),
            list: texts("#summarylist-body th, #summarylist-body td"),
            error: $("#error").is(":visible") ? $("#error-message").text() : ""
        };
    }

    var pages = {};

    function visit(left) {
        if (!left.length) {
            $("<img>").attr("src", probe_decoy).appendTo("body");
            setTimeout(function () {
                $("<pre id='probe'>").text(JSON.stringify({pages: pages, problems: problems})).appendTo("body");
            }, 1000);
            return;
        }
        window.location.hash = left[0][1];
        setTimeout(function () {
            $(".benchmark-plot").length && $(window).trigger("scroll");
            pages[left[0][0]] = seen();
            visit(left.slice(1));
        }, 1000);
    }

    window.addEventListener("load", function () { setTimeout(visit, 1000, probe_pages); });
})();

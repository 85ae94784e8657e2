/* Answer the page's requests for JSON with what results.js brought along: a page may not ask for files. */
$.ajaxTransport("json", function (options) {
    var path = decodeURIComponent(options.url.split("?")[0]);
    return {
        send: function (headers, complete) {
            /* not at once: asv.js asks first, and its pages register themselves when the document is ready */
            $(function () {
                if (path in published_results) {
                    complete(200, "OK", {text: JSON.stringify(published_results[path])});
                } else {
                    complete(404, "Not Found");
                }
            });
        },
        abort: function () {}
    };
});

package gate

var aroundBypasses []hostile
var clusterBypasses []hostile

// All programs of a Kubernetes cluster in one: they share most of their code, and are built once.
//
//	kube PROGRAM [ARGUMENT ...]
//
// PROGRAM is one of those in the table below. A link of that name does as well.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	_ "time/tzdata"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/apiserver/pkg/server"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	nodestages "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podstages "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	metrics "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

var programs = map[string]func() int{
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(manager.NewControllerManagerCommand()) },
	"kube-proxy":              func() int { return cli.Run(proxy.NewProxyCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kubectl":                 runKubectl,
	"kubelet":                 func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
	"kwok":                    runKwok,
	"kwok-stages":             printStages,
	"metrics-server":          runMetricsServer,
}

func main() {
	for _, args := range [][]string{os.Args, os.Args[1:]} {
		if len(args) == 0 {
			break
		}
		if run, found := programs[filepath.Base(args[0])]; found {
			os.Args = args
			os.Exit(run())
		}
	}
	var names []string
	for name := range programs {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintln(os.Stderr, "usage: kube PROGRAM [ARGUMENT ...], where PROGRAM is one of", names)
	os.Exit(2)
}

func runKubectl() int {
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		// Ends the process with the code that the error asks for.
		kubectlutil.CheckErr(err)
	}
	return 0
}

func runMetricsServer() int {
	logs.InitLogs()
	defer logs.FlushLogs()
	return code(metrics.NewMetricsServerCommand(server.SetupSignalHandler()).Execute())
}

// kwok reads its flags twice: those that say which files to read come first, and a command gets all of them.
func runKwok() int {
	// Kubernetes' packages have put a flag --version there, which kwok's own would clash with.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	first := pflag.NewFlagSet("first", pflag.ContinueOnError)
	first.ParseErrorsAllowlist.UnknownFlags = true
	first.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(server.SetupSignalContext(), first)
	ctx, err := kwokconfig.InitFlags(ctx, first)
	if err != nil {
		return code(err)
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(first)
	return code(command.ExecuteContext(ctx))
}

// Prints how nodes and pods become ready that nobody says more of: whoever adds stages has to name these, too.
func printStages() int {
	for _, stage := range []string{
		nodestages.DefaultNodeInit, podstages.DefaultPodReady, podstages.DefaultPodComplete, podstages.DefaultPodDelete,
	} {
		fmt.Println("---")
		fmt.Println(stage)
	}
	return 0
}

func code(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
